export { filterFromProto, filterToProto } from './filter.ts';
export {
  startFromProto,
  subscriptionFromProto,
  subscriptionInputToProto,
  subscriptionToProto,
} from './subscription.ts';
export { storedFromProto } from './stored.ts';
