export { openEmbeddedStore } from './store.ts';
export { DEFAULT_EMBEDDED_OPTIONS, type EmbeddedStoreOptions } from './options.ts';
