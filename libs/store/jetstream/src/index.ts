export { openJetStreamStore } from './store.ts';
export { DEFAULT_JETSTREAM_OPTIONS, type JetStreamStoreOptions } from './options.ts';
