export {
  SUBSCRIPTION_DEFAULTS,
  checkSubscription,
  type DeliveryClass,
  type RetryPolicy,
  type Start,
  type Subscription,
  type SubscriptionInput,
  type SubscriptionMode,
  type SubscriptionSpec,
} from './subscription.ts';
