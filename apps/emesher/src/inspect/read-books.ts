import type { LedgerFinding } from '@eventmesh/adapter-api';
import { NO_COUNTS, decodeState, sumCounters, type Subscription } from '@eventmesh/delivery';
import type { EventStore, PartitionInfo } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Runners } from '../deliver/runners.ts';
import type { Logs } from '../logs.ts';
import type { Journal } from './journal.ts';
import {
  subscriptionFindings,
  tenantFindings,
  type SubscriptionBooks,
  type TenantBooks,
} from './ledger-check.ts';

export interface BooksDeps {
  readonly directory: Directory;
  readonly journal: Pick<Journal, 'receipts'>;
  readonly runners: Pick<Runners, 'find'>;
  readonly logs: Logs;
  readonly store: EventStore;
}

/** Reads the counters and what the store has, and compares them. */
export async function checkBooks(deps: BooksDeps, tenant: string): Promise<LedgerFinding[]> {
  const { directory, store, logs } = deps;
  const durable = [...directory.subscriptions.values()].filter(
    (each) => each.tenant === tenant && each.deliveryClass === 'durable' && !each.ephemeral,
  );
  const partitions = (await store.logInfo(logs.name(tenant)))?.partitions ?? [];
  const all: SubscriptionBooks[] = [];
  for (const subscription of durable) all.push(await booksOf(deps, subscription, partitions));
  const counted = all.reduce((sum, { counters }) => sum + counters.deadLettered, 0);
  return [
    ...tenantFindings(await tenantBooks(deps, tenant, counted)),
    ...all.flatMap(subscriptionFindings),
  ];
}

/** From the engine when the subscription runs here, else from its cursors. */
async function booksOf(
  { runners, store, logs }: BooksDeps,
  { tenant, name }: Subscription,
  partitions: readonly PartitionInfo[],
): Promise<SubscriptionBooks> {
  const engine = runners.find(tenant, name)?.engine;
  if (engine !== undefined) {
    return {
      tenant,
      name,
      counters: engine.counters,
      held: engine.held,
      partitions: partitions.map(({ partition, first }) => {
        const { start, next } = engine.partition(partition);
        return { partition, start, looked: next - (start ?? next), first };
      }),
    };
  }
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

async function tenantBooks(
  { directory, journal, store, logs }: BooksDeps,
  tenant: string,
  lettersCounted: number,
): Promise<TenantBooks> {
  // As the log was when this emesher came to know it, and as it is.
  const before = (await logs.ensure(tenant)).partitions;
  // Counters first: what is stored meanwhile must not look like a receipt without a record.
  const receipts = journal.receipts(tenant);
  const after = (await store.logInfo(logs.name(tenant)))?.partitions ?? [];
  const letters = await store.logInfo(`dead.${tenant}`);
  return {
    tenant,
    stored: lastOf(after) - lastOf(before),
    receipts,
    shared: directory.sisters.length > 0,
    lettersWritten: lastOf(letters?.partitions ?? []),
    lettersCounted,
  };
}

const lastOf = (partitions: readonly PartitionInfo[]): number =>
  partitions.reduce((sum, { last }) => sum + last, 0);
