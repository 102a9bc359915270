import type { Entry } from '@eventmesh/delivery';
import type { Ending, RunnerDeps } from '../deliver/runner-deps.ts';
import { nowUs } from '../clock.ts';
import { recordSpan } from '../publish/spans.ts';
import type { Tracing } from '@eventmesh/telemetry';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';

export interface ObserverDeps {
  readonly site: string;
  readonly journal: Journal;
  readonly ledger: Pick<Ledger, 'metrics'>;
  readonly tracing: Tracing;
}

/** What is remembered of a cause; the dead letter has the whole of it. */
const CAUSE_CHARACTERS_MAX = 256;

/** Notes deliveries and settles: a journal line a batch, a histogram and spans per event. */
export function deliveryObserver(
  deps: ObserverDeps,
): Pick<RunnerDeps, 'onDelivered' | 'onSettled' | 'onEnded'> {
  const { site, journal, ledger, tracing } = deps;
  const note = (
    tenant: string,
    entries: readonly { readonly partition: number; readonly position: number }[],
    step: string,
    subject: string,
    detail = '',
  ) => {
    const [first] = entries;
    if (first === undefined) return;
    // Nearly always one partition; otherwise a line for each.
    const partitions = new Set(entries.map(({ partition }) => partition));
    for (const partition of partitions) {
      const own = entries.filter((entry) => entry.partition === partition);
      const positions = own.map(({ position }) => position);
      journal.note(tenant, partition, positions, step, subject, detail);
    }
  };
  return {
    onDelivered({ tenant, name }, consumer, deliveries) {
      const entries = deliveries.map(({ entry }) => entry);
      note(tenant, entries, 'delivered', name, `to ${consumer}`);
    },
    onSettled({ tenant, name }, entries, outcome) {
      note(tenant, entries, 'settled', name, outcome.kind);
      if (outcome.kind !== 'accept') return;
      const now = nowUs();
      for (const { record } of entries) {
        const seconds = Math.max(0, now - record.ingressTimeUs) / 1_000_000;
        ledger.metrics.endToEndSeconds.observe(seconds);
        const stored = record.hops.at(-1)?.timeUs ?? record.ingressTimeUs;
        recordSpan(tracing, 'eventmesh deliver', record.traceparent, stored, {
          'eventmesh.site': site,
          'eventmesh.subscription': name,
          'messaging.destination.name': record.topic,
        });
      }
    },
    onEnded({ tenant, name }, entries, how) {
      const causes = Map.groupBy(entries, (entry) => causeOf(entry, how));
      for (const [cause, own] of causes) note(tenant, own, how, name, cause);
    },
  };
}

function causeOf({ reason }: Entry, how: Ending): string {
  if (how === 'forbidden') return '';
  const failed = how === 'expired' && reason !== '' ? 'its last delivery failed: ' : '';
  return `${failed}${reason}`.slice(0, CAUSE_CHARACTERS_MAX);
}
