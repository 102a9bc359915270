import type { TraceStep } from '@eventmesh/adapter-api';
import type { TraceStep as WireStep } from '@eventmesh/proto-gen/link';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { LinkClient } from '../link/link-client.ts';
import type { Logs } from '../logs.ts';
import { ASK_TIMEOUT_MS, askAround } from './ask-around.ts';
import { readRecord } from './find-event.ts';
import type { Journal } from './journal.ts';

export interface TracerDeps {
  readonly site: string;
  readonly journal: Journal;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly logger: Logger;
  readonly links: ReadonlyMap<string, LinkClient>;
}

export interface Trace {
  readonly steps: readonly TraceStep[];
  readonly unreachableSites: readonly string[];
}

/** Where an event went: this site's part from the journal and the store, the rest by asking on. */
export class Tracer {
  readonly #deps: TracerDeps;

  constructor(deps: TracerDeps) {
    this.#deps = deps;
  }

  async trace(
    tenant: string,
    id: string,
    source: string | undefined,
    visited: readonly string[] = [],
  ): Promise<Trace> {
    const { site, journal, links, logger } = this.#deps;
    const steps: TraceStep[] = [];
    for (const known of journal.find(tenant, id, source)) {
      steps.push(await this.#accepted(known), ...journal.steps(known));
    }
    const { answers, unreachable } = await askAround(
      links,
      [...visited, site],
      logger,
      (link, seen) => this.#ask(link, tenant, id, source, seen),
      (answer) => answer.steps.map((step) => step.site),
    );
    steps.push(...answers.flatMap((answer) => answer.steps));
    const further = answers.flatMap((answer) => answer.unreachableSites);
    return {
      steps: distinct(steps),
      unreachableSites: [...new Set([...unreachable, ...further])],
    };
  }

  async #accepted(known: ReturnType<Journal['find']>[number]): Promise<TraceStep> {
    const { site, store, logs } = this.#deps;
    const { tenant, partition, position, source, topic } = known;
    const place = { site, subject: topic, partition, position, source, topic };
    const record = await readRecord(store, logs.name(tenant), partition, position);
    if (record === undefined) {
      return { ...place, step: 'accepted', timeUs: 0, detail: 'no longer in the store' };
    }
    const to = record.destinations.length === 0 ? 'nobody else' : record.destinations.join(', ');
    return {
      ...place,
      step: record.hops.length === 0 ? 'accepted' : 'stored',
      timeUs: record.hops.at(-1)?.timeUs ?? record.ingressTimeUs,
      detail: `by ${record.principal}, to forward to ${to}`,
    };
  }

  async #ask(
    link: LinkClient,
    tenant: string,
    eventId: string,
    source: string | undefined,
    visited: string[],
  ): Promise<Trace> {
    const { steps, unreachableSites } = await link.client.trace(
      { tenant, eventId, source: source ?? '', visited },
      { timeoutMs: ASK_TIMEOUT_MS },
    );
    return {
      steps: steps.map(fromWire),
      unreachableSites,
    };
  }
}

/** A step as this site's own ones are, without what belongs to the message. */
const fromWire = (step: WireStep): TraceStep => ({
  site: step.site,
  subject: step.subject,
  partition: step.partition,
  position: Number(step.position),
  source: step.source,
  topic: step.topic,
  step: step.step,
  timeUs: Number(step.timeUs),
  detail: step.detail,
});

/** In a ring the same step is told by more than one neighbour. */
function distinct(steps: readonly TraceStep[]): TraceStep[] {
  const byText = new Map(steps.map((step) => [JSON.stringify(step), step]));
  return [...byText.values()].sort((a, b) => a.timeUs - b.timeUs);
}
