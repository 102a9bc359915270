export { openRemoteStore } from './store.ts';
export { DEFAULT_REMOTE_OPTIONS, type RemoteStoreOptions } from './options.ts';
export {
  cursorFromWire,
  cursorIdFromWire,
  cursorToWire,
  durabilityToWire,
  logToWire,
  specFromWire,
} from './wire.ts';
