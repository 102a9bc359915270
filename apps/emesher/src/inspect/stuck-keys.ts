import type { Stopped, StuckKey, Subscription, Waiting } from '@eventmesh/delivery';
import type { EmesherMetrics } from '../metrics.ts';

/** Keys that a status lists. */
export const STUCK_KEYS_LISTED_MAX = 20;

/** Being out for a while is normal; from here on, in ms, a key counts as stuck. */
const STUCK_AFTER_MS = 10_000;
/** Keys of a subscription that are counted. */
const STUCK_KEYS_COUNTED_MAX = 1000;
/** Keys of a subscription that the metrics name, the longest held ones: each is a time series. */
const STUCK_KEYS_NAMED_MAX = 10;

type StuckKeyMetrics = Pick<
  EmesherMetrics,
  | 'stuckKeys'
  | 'stuckKeySeconds'
  | 'parked'
  | 'parkedKeys'
  | 'cursorBytes'
  | 'stopped'
  | 'delayed'
  | 'paced'
  | 'retryWindow'
>;

export interface Ordered {
  readonly subscription: Subscription;
  readonly engine: {
    stuckKeys(max: number): readonly StuckKey[];
    readonly parkedEvents: number;
    readonly parkedKeys: number;
    readonly cursorBytes: number;
    readonly stopped: Stopped | undefined;
    readonly waiting: Waiting;
  };
}

/** Tells which consumer holds which stuck key, and what waits behind, of all running subscriptions. */
export function tellStuckKeys(metrics: StuckKeyMetrics, running: Iterable<Ordered>): void {
  metrics.stuckKeys.reset();
  metrics.stuckKeySeconds.reset();
  metrics.parked.reset();
  metrics.parkedKeys.reset();
  metrics.cursorBytes.reset();
  metrics.stopped.reset();
  metrics.delayed.reset();
  metrics.paced.reset();
  metrics.retryWindow.reset();
  for (const { subscription, engine } of running) {
    const { tenant, name } = subscription;
    const labelled = { tenant, subscription: name };
    metrics.parked.set(labelled, engine.parkedEvents);
    metrics.parkedKeys.set(labelled, engine.parkedKeys);
    metrics.cursorBytes.set(labelled, engine.cursorBytes);
    if (engine.stopped !== undefined) metrics.stopped.set({ ...labelled, by: engine.stopped }, 1);
    const { delayed, paced, retryWindow } = engine.waiting;
    metrics.delayed.set(labelled, delayed);
    metrics.paced.set(labelled, paced);
    if (retryWindow > 0) metrics.retryWindow.set(labelled, retryWindow);
    const all = engine.stuckKeys(STUCK_KEYS_COUNTED_MAX);
    const stuck = all.filter(({ heldMs }) => heldMs >= STUCK_AFTER_MS);
    for (const { consumer } of stuck) {
      metrics.stuckKeys.inc({ tenant, subscription: name, consumer });
    }
    for (const { topic, key, consumer, heldMs } of stuck.slice(0, STUCK_KEYS_NAMED_MAX)) {
      const labels = { tenant, subscription: name, consumer, topic, key };
      metrics.stuckKeySeconds.set(labels, heldMs / 1000);
    }
  }
}
