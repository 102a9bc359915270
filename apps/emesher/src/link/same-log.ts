import type { ResumePoint } from '@eventmesh/proto-gen/link';
import type { EventStore } from '@eventmesh/store-api';
import { hasRecord } from './read-on.ts';
import { SEEN_MAX } from './seen.ts';

/**
 * Whether the log is still the one from which the neighbour has taken its records. Undefined: it is.
 * Otherwise the log was restored from a copy and then written to, and this is the last position
 * known at which both have the same record, 0 when there is none. What lies behind it, as far as
 * the log has it, may be new to the neighbour; everything that the copy had is known to it.
 */
export async function lastAgreed(
  store: EventStore,
  log: string,
  { partition, last, seen }: Pick<ResumePoint, 'partition' | 'last' | 'seen'>,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const where = { log, partition, ...(signal === undefined ? {} : { signal }) };
  const known = seen
    .slice(-SEEN_MAX)
    .map(({ position, ingressTimeUs }) => ({
      position: Number(position),
      ingressTimeUs: Number(ingressTimeUs),
    }))
    .toReversed();
  const [newest] = known;
  const end = Number(last);
  // Of the last record taken it may not be known which it is, but it must be there.
  const there = end === 0 || newest?.position === end || (await hasRecord(store, where, end));
  const same = newest === undefined || (await hasRecord(store, where, newest.position, newest));
  if (there && same) return undefined;
  for (const { position, ingressTimeUs } of known) {
    if (await hasRecord(store, where, position, { ingressTimeUs })) return position;
  }
  return 0;
}
