import { invalid } from '@eventmesh/errors';
import { type Clock, systemClock } from '@eventmesh/kv-api';

export interface EmbeddedKvOptions {
  /** Folder of the store; made when missing. One process at a time may have it open. */
  readonly dir: string;
  /** How many revisions a watch can go back. Older ones are compacted. Default 10,000. */
  readonly historyRevisionsMax?: number;
  /** How many bytes of values that history may hold. Default 67,108,864 (64 MiB). */
  readonly historyBytesMax?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
}

export const EMBEDDED_KV_DEFAULTS = Object.freeze({
  historyRevisionsMax: 10_000,
  historyBytesMax: 67_108_864,
});

export interface CompiledOptions {
  readonly dir: string;
  readonly historyRevisionsMax: number;
  readonly historyBytesMax: number;
  readonly clock: Clock;
}

export function compileOptions(given: EmbeddedKvOptions): CompiledOptions {
  const options = { ...EMBEDDED_KV_DEFAULTS, clock: systemClock, ...given };
  if (options.dir === '') throw invalid('dir', 'must name a folder');
  for (const field of ['historyRevisionsMax', 'historyBytesMax'] as const) {
    if (!Number.isSafeInteger(options[field]) || options[field] < 1) {
      throw invalid(field, `must be a whole number of 1 or more, got ${options[field]}`);
    }
  }
  return options;
}
