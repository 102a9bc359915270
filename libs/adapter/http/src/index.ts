export { createHttpAdapter, type HttpAdapterDeps } from './adapter.ts';
export { httpAdapterConfig, type HttpAdapterOptions } from './options.ts';
export { HTTP_METRICS } from './metrics.ts';
export { problemOf, type Problem } from './problem.ts';
