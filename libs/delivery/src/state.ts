import { NO_COUNTS, type Counters } from './counters.ts';

/**
 * What survives a restart beside floor and settled ranges, for one partition. Each partition's
 * cursor carries its own, so that any mix of older and newer cursors is right by itself.
 */
export interface PartitionState {
  /** `considered` is without what was held: that is looked at again. */
  readonly counters: Counters;
  /** Failures of events that are not settled: position and count. */
  readonly failures: readonly (readonly [position: number, count: number])[];
  /** First position that the counters are about. */
  readonly start?: number;
}

export function encodeState(state: PartitionState): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(state));
}

/** The state in a cursor; undefined for a cursor that has none yet. */
export function decodeState(bytes: Uint8Array): PartitionState | undefined {
  if (bytes.length === 0) return undefined;
  const { counters, failures, start } = JSON.parse(
    new TextDecoder().decode(bytes),
  ) as Partial<PartitionState>;
  return {
    counters: { ...NO_COUNTS, ...counters },
    failures: Array.isArray(failures) ? failures : [],
    ...(typeof start === 'number' ? { start } : {}),
  };
}
