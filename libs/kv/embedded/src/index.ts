export { openEmbeddedKv, type EmbeddedKv } from './kv.ts';
export { EMBEDDED_KV_DEFAULTS, EMBEDDED_KV_SCHEMA, type EmbeddedKvOptions } from './options.ts';
