import type { ReplayOptions, ReplayPreview } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { EventView, hasExpired, type RecordView } from '@eventmesh/event';
import { compileFilters } from '@eventmesh/filter';
import type { EventStore } from '@eventmesh/store-api';
import { nextTurn } from '@eventmesh/time';
import { scan } from './scan.ts';
import type { Window } from './window.ts';

export interface PreviewOptions {
  readonly store: EventStore;
  readonly log: string;
  readonly windows: readonly Window[];
  readonly subscription: Subscription;
  readonly options: ReplayOptions;
  /** Whether the caller may have an event of a topic. */
  readonly mayReceive: (topic: string) => boolean;
  readonly now: () => number;
  readonly readAheadBytes: number;
  readonly signal: AbortSignal;
}

interface Count {
  events: number;
  bytes: number;
  considered: number;
  expired: number;
  readonly gaps: { partition: number; from: number; to: number }[];
}

/** Counts what a lane would deliver, in one pass over the store that keeps nothing. */
export async function preview(given: PreviewOptions): Promise<ReplayPreview> {
  const { store, log, windows, subscription, readAheadBytes, signal } = given;
  const { name, topicFilters } = subscription;
  const matches = compileFilters(subscription.filters);
  const count: Count = { events: 0, bytes: 0, considered: 0, expired: 0, gaps: [] };
  for (const window of windows) {
    const { partition } = window;
    const place = { store, log, window, topicFilters, subscription: name };
    for await (const item of scan({ ...place, readAheadBytes, signal })) {
      if (item.kind === 'gap') {
        // What is gone lies before what is there, so there is one gap a partition.
        count.gaps.push({ partition, from: item.from, to: item.to });
        continue;
      }
      count.considered += item.others + item.found.length;
      for (const { record } of item.found) {
        if (matches(new EventView(record.event))) add(count, record, given);
      }
      // Readers and other work of this process take turns, however fast the store is.
      await nextTurn();
    }
  }
  if (signal.aborted) throw new MeshError('Cancelled', 'the preview was given up');
  return count;
}

function add(count: Count, record: RecordView, { now, options, mayReceive }: PreviewOptions): void {
  if (!mayReceive(record.topic)) return;
  if (hasExpired(record.expiryMs, now())) {
    count.expired++;
    if (!options.expired) return;
  }
  count.events++;
  count.bytes += record.event.length;
}
