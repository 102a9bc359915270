export { openEmbeddedKv, type EmbeddedKv } from './kv.ts';
export { EMBEDDED_KV_DEFAULTS, type EmbeddedKvOptions } from './options.ts';
