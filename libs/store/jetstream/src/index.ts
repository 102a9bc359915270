export { openJetStreamStore } from './open-store.ts';
export { DEFAULT_JETSTREAM_OPTIONS, type JetStreamStoreOptions } from './options.ts';
