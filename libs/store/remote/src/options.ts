import type { Transport } from '@eventmesh/rpc';

/** Settings of the client of a store-gateway. */
export interface RemoteStoreOptions {
  /** How to reach the gateway; belongs to the store and is closed with it. */
  readonly transport: Transport;
  /** Bytes of records that may wait for their receipts; more is refused. Default 256 MiB. */
  readonly pendingBytesMax?: number;
  /** Frames of one partition that may wait for their receipts. Default 16. */
  readonly framesInFlightMax?: number;
  /** Cursors whose commits may wait for the call before; more are refused. Default 1,000,000. */
  readonly waitingCursorsMax?: number;
  /** How long to wait for a receipt before its outcome is unknown, in ms. Default 10,000. */
  readonly appendTimeoutMs?: number;
  /** How long to try at open, in ms. Default 10,000. */
  readonly openTimeoutMs?: number;
}

export const DEFAULT_REMOTE_OPTIONS = Object.freeze({
  pendingBytesMax: 256 * 1024 * 1024,
  framesInFlightMax: 16,
  waitingCursorsMax: 1_000_000,
  appendTimeoutMs: 10_000,
  openTimeoutMs: 10_000,
});
