export { MeshClient, type ConnectOptions, type RequestOptions } from './client.ts';
export type { EventInput, EventLike, PublishOptions, Receipt } from './event-input.ts';
export { StreamPublisher, type PublishEntry, type PublisherOptions } from './stream-publisher.ts';
export type { Delivery } from './delivery.ts';
export type { Gap, SettleRefused } from '@eventmesh/proto-gen/subscriber';
export {
  Subscriber,
  replayToProto,
  type ReplayInput,
  type SubscribeOptions,
} from './subscriber.ts';
export { EventView } from '@eventmesh/event';
export { MeshError } from '@eventmesh/errors';
export {
  START_FORMS,
  startFromText,
  timeFromText,
  type Start,
  type SubscriptionInput,
} from '@eventmesh/delivery';
