import type { Entry } from '@eventmesh/delivery';
import type { Ending, RunnerDeps } from '../deliver/runner-deps.ts';
import { nowUs } from '../clock.ts';
import type { EmesherMetrics } from '../metrics.ts';
import { recordSpan } from '../publish/spans.ts';
import type { Tracing } from '@eventmesh/telemetry';
import type { EventPlace, Journal } from './journal.ts';

export interface ObserverDeps {
  readonly site: string;
  readonly journal: Journal;
  readonly metrics: Pick<EmesherMetrics, 'endToEndSeconds'>;
  readonly tracing: Tracing;
}

/** What is remembered of a cause; the dead letter has the whole of it. */
const CAUSE_CHARACTERS_MAX = 256;

/** Notes deliveries and settles: a journal line a batch, a histogram and spans per event. */
export function deliveryObserver(
  deps: ObserverDeps,
): Pick<RunnerDeps, 'onDelivered' | 'onSettled' | 'onEnded'> {
  const { site, journal, metrics, tracing } = deps;
  const endToEndSeconds = metrics.endToEndSeconds.of();
  const note = (
    tenant: string,
    places: readonly EventPlace[],
    step: string,
    subject: string,
    detail: string,
  ) => {
    for (const { partition, positions } of byPartition(places)) {
      journal.note(tenant, partition, positions, step, subject, detail);
    }
  };
  const trace = (name: string, entries: readonly Entry[]) => {
    for (const { record } of entries) {
      const stored = record.hops.at(-1)?.timeUs ?? record.ingressTimeUs;
      recordSpan(tracing, 'eventmesh deliver', record.traceparent, stored, {
        'eventmesh.site': site,
        'eventmesh.subscription': name,
        'messaging.destination.name': record.topic,
      });
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
        endToEndSeconds.observe(Math.max(0, now - record.ingressTimeUs) / 1_000_000);
      }
      if (tracing.enabled) trace(name, entries);
    },
    onEnded({ tenant, name }, entries, how) {
      const causes = Map.groupBy(entries, (entry) => causeOf(entry, how));
      for (const [cause, own] of causes) note(tenant, own, how, name, cause);
    },
  };
}

/** Nearly always one partition. */
function byPartition(
  places: readonly EventPlace[],
): readonly { readonly partition: number; readonly positions: readonly number[] }[] {
  const found: { readonly partition: number; readonly positions: number[] }[] = [];
  let last: (typeof found)[number] | undefined;
  for (const { partition, position } of places) {
    if (last?.partition !== partition) {
      last = found.find((each) => each.partition === partition);
      if (last === undefined) found.push((last = { partition, positions: [] }));
    }
    last.positions.push(position);
  }
  return found;
}

function causeOf({ reason }: Entry, how: Ending): string {
  if (how === 'forbidden') return '';
  const failed = how === 'expired' && reason !== '' ? 'its last delivery failed: ' : '';
  return `${failed}${reason}`.slice(0, CAUSE_CHARACTERS_MAX);
}
