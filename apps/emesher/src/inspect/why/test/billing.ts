import { SUBSCRIPTION_DEFAULTS, type Subscription } from '@eventmesh/delivery';
import { NO_HANDLING, type RecordView } from '@eventmesh/event';

/** A subscription, and a record that is for it. */
export const subscription: Subscription = {
  ...SUBSCRIPTION_DEFAULTS,
  name: 'billing',
  topicFilters: ['orders/#'],
  tenant: 't',
  owner: 'user:ann',
  site: 'west',
  createdMs: 1,
  revision: 1,
  broadcastOf: '',
};
export const record: RecordView = {
  tenant: 't',
  topic: 'orders/eu',
  principal: 'bob',
  originSite: 'west',
  destinations: [],
  transit: false,
  key: '',
  ingressTimeUs: 1_000_000,
  expiryMs: 0,
  originPartition: 0,
  originPosition: 0,
  traceparent: '',
  hops: [],
  handling: NO_HANDLING,
  event: Buffer.alloc(0),
};
