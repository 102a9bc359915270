import type { Trace, TraceStep } from '@eventmesh/adapter-api';
import type { TraceStep as WireStep } from '@eventmesh/proto-gen/link';
import type { Logger } from '@eventmesh/telemetry';
import type { LinkClient } from '../link/link-client.ts';
import { ASK_TIMEOUT_MS, askAround } from './ask-around.ts';
import { readCopies, type Copy, type FindDeps } from './find-event.ts';
import type { Inquiry, Inspector } from './memory.ts';
import { silentFromWire } from './why/wire.ts';

export interface TracerDeps extends Pick<FindDeps, 'site' | 'store' | 'logs'> {
  /** Begins an inspection at all emeshers of the site. */
  readonly inquire: (inspector: Inspector) => Inquiry;
  readonly logger: Logger;
  readonly links: ReadonlyMap<string, LinkClient>;
}

/** Where an event went: this site's part from its emeshers and the store, the rest by asking on. */
export class Tracer {
  readonly #deps: TracerDeps;

  constructor(deps: TracerDeps) {
    this.#deps = deps;
  }

  async trace(
    inspector: Inspector,
    id: string,
    source: string | undefined,
    visited: readonly string[] = [],
  ): Promise<Trace> {
    const { site, links, logger } = this.#deps;
    const own = await this.#here(inspector, id, source);
    const { answers, unreachable } = await askAround(
      links,
      [...visited, site],
      logger,
      (link, seen) => this.#ask(link, inspector.tenant, id, source, seen),
      (answer) => answer.steps.map((step) => step.site),
    );
    const all = [own, ...answers];
    const further = all.flatMap((answer) => answer.unreachableSites);
    return {
      steps: distinct(all.flatMap((answer) => answer.steps)),
      unreachableSites: [...new Set([...unreachable, ...further])],
      silentEmeshers: all.flatMap((answer) => answer.silentEmeshers),
    };
  }

  async #here(inspector: Inspector, id: string, source: string | undefined): Promise<Trace> {
    const { site, inquire } = this.#deps;
    const inquiry = inquire(inspector);
    const { places } = await inquiry.recall(id, source);
    const event = { tenant: inspector.tenant, id, source };
    const copies = await readCopies(this.#deps, event, places);
    const { steps } = await inquiry.locate(copies, { stepsOnly: true });
    const told = copies.flatMap((copy) => {
      const { partition, position, source: from, topic } = copy;
      const about = { site, source: from, topic };
      const own = steps.filter(
        (step) => step.partition === partition && step.position === position,
      );
      return [this.#accepted(copy), ...own.map((step) => ({ ...about, ...step }))];
    });
    return { steps: told, unreachableSites: [], silentEmeshers: inquiry.silent };
  }

  #accepted({ record, partition, position, source, topic }: Copy): TraceStep {
    const { site } = this.#deps;
    const place = { site, subject: topic, partition, position, source, topic };
    if (record === undefined) {
      const detail = 'no longer in the store; known by a fingerprint of its id';
      return { ...place, step: 'accepted', timeUs: 0, detail };
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
    const { steps, unreachableSites, silentEmeshers } = await link.client.trace(
      { tenant, eventId, source: source ?? '', visited },
      { timeoutMs: ASK_TIMEOUT_MS },
    );
    return {
      steps: steps.map(fromWire),
      unreachableSites,
      silentEmeshers: silentEmeshers.map(silentFromWire),
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
