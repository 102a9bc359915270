export {
  Router,
  type CallContext,
  type MethodImpl,
  type RegisterOptions,
  type ServiceImpl,
} from './service.ts';
export {
  createClient,
  openStream,
  type CallOptions,
  type Client,
  type DecodingOptions,
  type Transport,
} from './client.ts';
export { PreEncoded } from './pre-encoded.ts';
export type { Call, Interceptor } from './interceptors.ts';
export { localTransport } from './local.ts';
export { RpcServer, type RpcServerOptions } from './server.ts';
export { grpcTransport, type GrpcTransportOptions } from './transport.ts';
export { ERROR_DOMAIN, fromFailure, toFailure } from './status.ts';
export { addStandardServices } from './health.ts';
export { MESSAGE_BYTES_MAX, type ServerTlsFiles, type TlsFiles } from './options.ts';
export { AsyncQueue } from './async-queue.ts';
export {
  PAGE_BYTES_MAX,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  everyEntry,
  pageOf,
  pageOfSorted,
  pageSizeOf,
  readPageToken,
  writePageToken,
  type Listing,
  type Page,
  type PageRequest,
} from './paging.ts';
