export { GRPC_ADAPTER_DEFAULTS, addGrpcAdapter, type GrpcAdapterOptions } from './adapter.ts';
