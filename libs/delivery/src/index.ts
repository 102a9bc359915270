export {
  SUBSCRIPTION_DEFAULTS,
  checkStart,
  checkSubscription,
  type DeliveryClass,
  type RetryPolicy,
  type Start,
  type Subscription,
  type SubscriptionInput,
  type SubscriptionMode,
  type SubscriptionSpec,
} from './subscription.ts';
export {
  DeliveryEngine,
  type Assignment,
  type Counters,
  type EngineOptions,
  type EngineState,
  type Entry,
  type Settle,
} from './engine.ts';
export { PartitionProgress, type PositionRange } from './progress.ts';
export { retryDelayMs } from './retry.ts';
