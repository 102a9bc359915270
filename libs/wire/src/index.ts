export { filterFromProto, filterToProto } from './filter.ts';
export {
  changeFromProto,
  changeToProto,
  partToProto,
  startFromProto,
  startToProto,
  subscriptionFromProto,
  subscriptionInputToProto,
  subscriptionToProto,
} from './subscription.ts';
export { partFromProto, storedFromProto } from './stored.ts';
export { int64, uint32 } from './whole.ts';
