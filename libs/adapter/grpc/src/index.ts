export { addGrpcAdapter } from './adapter.ts';
export { ConsumerQueue } from './consumer-queue.ts';
export {
  fromPurge as purgeToWire,
  fromRedrive as redriveToWire,
  fromSelection as selectionFromWire,
} from './dead-letters.ts';
export { GRPC_ADAPTER_DEFAULTS, type ConsumerLimits, type GrpcAdapterOptions } from './options.ts';
export { fromReplayStatus as replayStatusToWire } from './replay-wire.ts';
export { takeInputs } from './subscriber.ts';
export { fromStatus as statusToWire } from './subscription-wire.ts';
