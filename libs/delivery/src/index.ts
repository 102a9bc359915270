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
export { isPartOf, partAs, type BroadcastPart, type OwnOfPart } from './broadcast-part.ts';
export { changedSpec, type SubscriptionChange } from './change.ts';
export type { Assignment } from './dispatch.ts';
export { DeliveryEngine } from './engine.ts';
export type { EngineOptions } from './engine-parts.ts';
export type { Stopped, Waiting } from './engine-view.ts';
export type { Settle } from './settling.ts';
export { NO_COUNTS, sumCounters, type Counters } from './counters.ts';
export type { Entry, OnEnded } from './entry.ts';
export type { StuckKey } from './key-order.ts';
export { PartitionProgress } from './progress.ts';
export { isSettledBy, type PartitionCursor, type PositionRange } from './cursor.ts';
export { RELEASE_DELAY_MS_MAX, retryDelayMs } from './retry.ts';
export { RETRY_WINDOW } from './retry-pace.ts';
export { decodeState, encodeState, type PartitionState } from './state.ts';
export { REPLAY_RATE_MAX, checkReplay, type ReplayOptions } from './replay.ts';
export { START_FORMS, startFromText, timeFromText } from './start-text.ts';
