export { GRPC_ADAPTER_DEFAULTS, addGrpcAdapter, type GrpcAdapterOptions } from './adapter.ts';
export { drainingError } from './draining.ts';
export { consumerSink, takeInputs, type ConsumerOut } from './subscriber.ts';
export { fromStatus as statusToWire } from './subscription-wire.ts';
