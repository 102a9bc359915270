import type { MeshError } from '@eventmesh/errors';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';

export const LOG = 'events.default';

export const LOG_SPEC = {
  name: LOG,
  partitions: 1,
  retentionMs: 0,
  retentionBytes: 0,
  duplicateWindow: 100_000,
};

/** An encoded record whose event has this id, and data of this size. */
export function record(id: string, size = 200): Buffer {
  const event = encodeEvent({
    id,
    source: '/e2e',
    type: 'e2e.event',
    data: { kind: 'binary', bytes: Buffer.alloc(size, 'x') },
  });
  return encodeRecord(
    {
      tenant: 'default',
      topic: 'e2e/events',
      principal: 'e2e',
      originSite: 'west',
      destinations: [],
      ingressTimeUs: 1_700_000_000_000_000,
      hops: [],
    },
    event,
  );
}

export interface Load {
  /** Id of each acknowledged record to its position. */
  readonly acked: ReadonlyMap<string, number>;
  readonly failures: readonly MeshError[];
  /** Ends after what is in flight. */
  stop(): Promise<void>;
}

let loads = 0;

/** Appends without a pause, with ids that no other load has; what was not acknowledged is sent again. */
export function startLoad(store: EventStore, lanes = 8): Load {
  const acked = new Map<string, number>();
  const failures: MeshError[] = [];
  const run = ++loads * 1000;
  let stopped = false;
  const running = Array.from({ length: lanes }, async (_each, lane) => {
    for (let n = 0; !stopped;) {
      const ids = Array.from({ length: 4 }, (_none, i) => `${run + lane}-${n}-${i}`);
      try {
        const { positions } = await store.append({
          log: LOG,
          partition: 0,
          records: ids.map((id) => ({ bytes: record(id), dedupKey: id })),
        });
        for (const [i, id] of ids.entries()) acked.set(id, positions[i] ?? 0);
        n++;
      } catch (error) {
        failures.push(error as MeshError);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  });
  return {
    acked,
    failures,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

/** The ids of all records, by position from 1; throws when a position is missing. */
export async function storedIds(store: EventStore): Promise<string[]> {
  const ids: string[] = [];
  const from = { kind: 'position', position: 1 } as const;
  for await (const item of store.read({ log: LOG, partition: 0, from, stopAtEnd: true })) {
    if (item.kind === 'gap') throw new Error(`positions ${item.from} to ${item.to} are gone`);
    if (item.kind !== 'batch') continue;
    for (const [index, position] of item.positions.entries()) {
      if (position !== ids.length + 1) throw new Error(`position ${position} is out of order`);
      const text = Buffer.from(item.records[index] ?? []).toString('latin1');
      ids.push(/\d+-\d+-\d+/.exec(text)?.[0] ?? '?');
    }
  }
  return ids;
}
