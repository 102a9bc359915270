import type { Transport } from '@eventmesh/rpc';

/** Settings of the client of a store-gateway. */
export interface RemoteStoreOptions {
  /** How to reach the gateway; belongs to the store and is closed with it. */
  readonly transport: Transport;
  /** How long to wait for a receipt before its outcome is unknown, in ms. Default 10,000. */
  readonly appendTimeoutMs?: number;
  /** How long to try at open, in ms. Default 10,000. */
  readonly openTimeoutMs?: number;
}

export const DEFAULT_REMOTE_OPTIONS = Object.freeze({
  appendTimeoutMs: 10_000,
  openTimeoutMs: 10_000,
});
