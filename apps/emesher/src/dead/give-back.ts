import type { EventStore } from '@eventmesh/store-api';
import { EventView } from '@eventmesh/event';
import type { Journal } from '../inspect/journal.ts';
import { partitionOf, type Logs } from '../logs.ts';
import { encodeRedriven, type StoredLetter } from './letter.ts';

export interface GiveBackDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly journal: Journal;
}

/**
 * Stores the events of letters again in the tenant's log, each for its own subscription only. The
 * same letter given back twice, as after a crash before it was settled, is stored once.
 */
export function giveBack({ site, store, logs, journal }: GiveBackDeps) {
  return async (tenant: string, letters: readonly StoredLetter[]): Promise<void> => {
    const { partitions } = await logs.ensure(tenant);
    const groups = Map.groupBy(letters, ({ record }) =>
      partitionOf(record.topic, record.key, partitions.length),
    );
    for (const [partition, group] of groups) {
      const { positions, duplicates } = await store.append({
        log: logs.name(tenant),
        partition,
        records: group.map((each) => ({
          bytes: encodeRedriven(each),
          dedupKey: keyOf(site, each),
        })),
      });
      const before = new Set(duplicates);
      for (const [index, { letter }] of group.entries()) {
        const position = positions[index] ?? 0;
        const event = new EventView(letter.event);
        if (!before.has(index)) journal.stored(tenant, partition, position, event);
        journal.note(tenant, partition, [position], 'redriven', letter.subscription);
      }
    }
  };
}

/** No source begins with NUL, so no published event has this key. */
const keyOf = (site: string, { letter }: StoredLetter): string =>
  `\0redrive\0${site}\0${letter.id}\0${letter.redrives + 1}`;
