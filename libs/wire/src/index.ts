export { filterFromProto, filterToProto } from './filter.ts';
export {
  startFromProto,
  startToProto,
  subscriptionFromProto,
  subscriptionInputToProto,
  subscriptionToProto,
} from './subscription.ts';
export { storedFromProto } from './stored.ts';
