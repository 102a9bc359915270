import type { TraceStep } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';
import { decodeRecord } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import type { LinkClient } from '../link/link-client.ts';
import type { Logs } from '../logs.ts';
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
    const { site, journal, links } = this.#deps;
    const steps: TraceStep[] = [];
    for (const known of journal.find(tenant, id, source)) {
      steps.push(await this.#accepted(known), ...journal.steps(known));
    }
    const seen = [...visited, site];
    const others = [...links.values()].filter(({ neighbour }) => !seen.includes(neighbour.site));
    const unreachableSites: string[] = [];
    for (const link of others) {
      if (seen.includes(link.neighbour.site)) continue;
      const answer = await this.#ask(link, tenant, id, source, seen);
      if (answer === undefined) unreachableSites.push(link.neighbour.site);
      else {
        steps.push(...answer.steps);
        unreachableSites.push(...answer.unreachableSites);
        seen.push(link.neighbour.site, ...new Set(answer.steps.map((step) => step.site)));
      }
    }
    return { steps: distinct(steps), unreachableSites: [...new Set(unreachableSites)] };
  }

  async #accepted(known: ReturnType<Journal['find']>[number]): Promise<TraceStep> {
    const { site, store, logs } = this.#deps;
    const { tenant, partition, position, source, topic } = known;
    const from = { kind: 'position', position } as const;
    let timeUs = 0;
    let detail = 'no longer in the store';
    let atOrigin = true;
    for await (const item of store.read({
      log: logs.name(tenant),
      partition,
      from,
      stopAtEnd: true,
    })) {
      if (item.kind !== 'batch') continue;
      const bytes = item.positions[0] === position ? item.records[0] : undefined;
      if (bytes === undefined) break;
      const record = decodeRecord(bytes);
      atOrigin = record.hops.length === 0;
      timeUs = record.hops.at(-1)?.timeUs ?? record.ingressTimeUs;
      const to = record.destinations.length === 0 ? 'nobody else' : record.destinations.join(', ');
      detail = `by ${record.principal}, to forward to ${to}`;
      break;
    }
    const step = atOrigin ? 'accepted' : 'stored';
    return { site, timeUs, step, subject: topic, detail, partition, position, source, topic };
  }

  async #ask(
    link: LinkClient,
    tenant: string,
    eventId: string,
    source: string | undefined,
    visited: readonly string[],
  ): Promise<Trace | undefined> {
    try {
      const { steps, unreachableSites } = await link.client.trace(
        { tenant, eventId, source: source ?? '', visited: [...visited] },
        { timeoutMs: 3000 },
      );
      return {
        steps: steps.map((step) => ({
          ...step,
          timeUs: Number(step.timeUs),
          position: Number(step.position),
        })),
        unreachableSites,
      };
    } catch (error) {
      const { code } = MeshError.from(error);
      this.#deps.logger.debug({ to: link.neighbour.site, code }, 'a site could not be asked');
      return undefined;
    }
  }
}

function distinct(steps: readonly TraceStep[]): TraceStep[] {
  const byText = new Map(steps.map((step) => [JSON.stringify(step, plain), step]));
  return [...byText.values()].sort((a, b) => a.timeUs - b.timeUs);
}

/** Steps that came over gRPC carry fields of the message that do not make them different. */
const plain = (key: string, value: unknown): unknown => (key.startsWith('$') ? undefined : value);
