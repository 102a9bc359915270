export { MeshClient, type ConnectOptions } from './client.ts';
export type { EventInput, EventLike, PublishOptions, Receipt } from './event-input.ts';
export { StreamPublisher, type PublishEntry } from './stream-publisher.ts';
export { Subscriber, type Delivery, type SubscribeOptions } from './subscriber.ts';
export { EventView } from '@eventmesh/event';
export { MeshError } from '@eventmesh/errors';
export type { SubscriptionInput } from '@eventmesh/delivery';
