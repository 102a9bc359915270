import type { LedgerFinding, SilentEmesher } from '@eventmesh/adapter-api';
import { NO_COUNTS, decodeState, sumCounters, type Subscription } from '@eventmesh/delivery';
import type { EventStore, PartitionInfo } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Logs } from '../logs.ts';
import {
  silenceFindings,
  subscriptionFindings,
  tenantFindings,
  type SubscriptionBooks,
} from './ledger-check.ts';
import { lastOf, type EmesherBooks, type RunningBooks } from './local-books.ts';
import type { Inspector } from './memory.ts';

export interface BooksDeps {
  readonly directory: Pick<Directory, 'subscriptions'>;
  /** The books at each emesher of the site that tells them, and who does not. */
  readonly siteBooks: (inspector: Inspector) => Promise<{
    readonly told: readonly EmesherBooks[];
    readonly silent: readonly SilentEmesher[];
  }>;
  readonly logs: Pick<Logs, 'name'>;
  readonly store: Pick<EventStore, 'logInfo' | 'loadCursor'>;
}

/** Reads the counters of the site and what the store has, and compares them. */
export async function checkBooks(deps: BooksDeps, inspector: Inspector): Promise<LedgerFinding[]> {
  const { directory, siteBooks, store, logs } = deps;
  const { tenant } = inspector;
  // Counters first: what is stored meanwhile must not look like a receipt without a record.
  const { told, silent } = await siteBooks(inspector);
  const partitions = (await store.logInfo(logs.name(tenant)))?.partitions ?? [];
  const running = newest(told.flatMap((books) => books.running));
  const all: SubscriptionBooks[] = [];
  for (const each of directory.subscriptions.values()) {
    if (each.tenant !== tenant || each.deliveryClass !== 'durable' || each.ephemeral) continue;
    const books = running.get(each.name);
    if (books === undefined) all.push(await cursorBooks(deps, each, partitions));
    else all.push(withFirst(tenant, books, partitions));
  }
  const letters = await store.logInfo(`dead.${tenant}`);
  const bases = told.map(({ base }) => base);
  const others = silent.length > 0 || new Set(bases).size > 1;
  return [
    ...silenceFindings(tenant, told.length, silent),
    ...tenantFindings({
      tenant,
      stored: lastOf(partitions) - Math.min(...bases),
      receipts: told.reduce((sum, { receipts }) => sum + receipts, 0),
      emeshers: told.length,
      others: others || told.some(({ othersLeft }) => othersLeft),
      lettersWritten: lastOf(letters?.partitions ?? []),
      lettersCounted: all.reduce((sum, { counters }) => sum + counters.deadLettered, 0),
    }),
    ...all.flatMap(subscriptionFindings),
  ];
}

/** While a subscription moves two emeshers may tell of it. */
function newest(all: readonly RunningBooks[]): ReadonlyMap<string, RunningBooks> {
  return new Map(all.toSorted((a, b) => a.epoch - b.epoch).map((books) => [books.name, books]));
}

const withFirst = (
  tenant: string,
  { name, counters, held, partitions }: RunningBooks,
  stored: readonly PartitionInfo[],
): SubscriptionBooks => ({
  tenant,
  name,
  counters,
  held,
  partitions: partitions.map((each) => ({
    ...each,
    first: stored.find(({ partition }) => partition === each.partition)?.first ?? 0,
  })),
});

/** Of a subscription that no emesher runs, or none that answers. */
async function cursorBooks(
  { store, logs }: BooksDeps,
  { tenant, name }: Subscription,
  partitions: readonly PartitionInfo[],
): Promise<SubscriptionBooks> {
  const counters = [NO_COUNTS];
  const read: SubscriptionBooks['partitions'][number][] = [];
  for (const { partition, first } of partitions) {
    const cursor = await store.loadCursor({
      log: logs.name(tenant),
      partition,
      subscription: name,
    });
    if (cursor === undefined) continue;
    const state = decodeState(cursor.state);
    // Without a state nothing was looked at yet.
    const start = state === undefined ? cursor.floor : state.start;
    let above = -(state?.parkedEvents ?? 0);
    for (const { from, to } of cursor.settled) above += to - from + 1;
    read.push({ partition, start, looked: cursor.floor - (start ?? 0) + above, first });
    if (state !== undefined) counters.push(state.counters);
  }
  return { tenant, name, counters: sumCounters(counters), held: 0, partitions: read };
}
