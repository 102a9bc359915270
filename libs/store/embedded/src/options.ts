import type { MeshError } from '@eventmesh/errors';

/** Settings of the embedded store. */
export interface EmbeddedStoreOptions {
  /** Data folder; made when missing. One process at a time. */
  readonly dir: string;
  /** Bytes of fresh records kept in memory for readers that follow the tail. Default 8 MiB. */
  readonly tailCacheBytes?: number;
  /** Bytes of records that may wait for a commit; more is refused. Default 256 MiB. */
  readonly pendingBytesMax?: number;
  /** How often retention by age is looked after, in ms. Default 10,000. */
  readonly retentionIntervalMs?: number;
  /**
   * Told once when a write or sync has failed for another reason than a full disk. Nothing is
   * accepted from then on; the process should end and start anew from what is on disk.
   */
  readonly onFatal?: (error: MeshError) => void;
  /** Milliseconds since the epoch. Default the machine's clock. */
  readonly now?: () => number;
}

export const DEFAULT_EMBEDDED_OPTIONS = Object.freeze({
  tailCacheBytes: 8 * 1024 * 1024,
  pendingBytesMax: 256 * 1024 * 1024,
  retentionIntervalMs: 10_000,
});
