import type { EventStore } from '@eventmesh/store-api';
import type { Runner } from '../deliver/runner.ts';
import type { Logs } from '../logs.ts';
import { readRecord } from './find-event.ts';
import type { EventPlace, Journal } from './journal.ts';
import type { Located, OnLink, Recalled, Scope, Standing } from './memory.ts';
import type { Refusals } from './refusals.ts';
import { runningPlace } from './why/place.ts';

export interface LocalMemoryDeps {
  readonly journal: Pick<Journal, 'find' | 'steps'>;
  readonly refusals: Pick<Refusals, 'find'>;
  readonly runners: { readonly all: Iterable<Runner> };
  readonly store: Pick<EventStore, 'read' | 'logInfo'>;
  readonly logs: Pick<Logs, 'name'>;
  /** The neighbouring sites. */
  readonly neighbours: Iterable<string>;
  /** Whether the link to a neighbour is open from here, and has a position on its way. */
  readonly linkPlace: (
    to: string,
    tenant: string,
    partition: number,
    position: number,
  ) => { readonly up: boolean; readonly held: boolean };
}

/** Places and refusals of one answer. */
const RECALLED_MAX = 256;
const REFUSALS_MAX = 100;

/** What this very emesher remembers of events, and has of them in hand. */
export class LocalMemory {
  readonly #deps: LocalMemoryDeps;

  constructor(deps: LocalMemoryDeps) {
    this.#deps = deps;
  }

  recall(tenant: string, id: string, source: string | undefined): Recalled {
    const places = this.#deps.journal.find(tenant, id, source);
    const refusals = this.#deps.refusals.find(tenant, id, source);
    return {
      places: places.slice(-RECALLED_MAX),
      refusals: refusals.slice(-REFUSALS_MAX),
      more: places.length > RECALLED_MAX || refusals.length > REFUSALS_MAX,
    };
  }

  async locate(
    tenant: string,
    places: readonly EventPlace[],
    { stepsOnly = false, subscription }: Scope,
  ): Promise<Located> {
    const steps = this.#deps.journal.steps(tenant, places);
    if (stepsOnly) return { steps, standings: [], links: [], more: false };
    const standings: Standing[] = [];
    for (const place of places) standings.push(...(await this.#at(tenant, place, subscription)));
    return { steps, standings, links: this.#links(tenant, places), more: false };
  }

  /** Where the event at a place stands for the subscriptions that run here. */
  async #at(
    tenant: string,
    { partition, position }: EventPlace,
    only: string | undefined,
  ): Promise<Standing[]> {
    const { runners, store, logs } = this.#deps;
    const running = [...runners.all].filter(
      ({ subscription: { tenant: of, name } }) => of === tenant && name === (only ?? name),
    );
    if (running.length === 0) return [];
    const log = logs.name(tenant);
    const record = await readRecord(store, log, partition, position);
    if (record === undefined) return [];
    const info = await store.logInfo(log);
    const last = info?.partitions.find((each) => each.partition === partition)?.last ?? position;
    const stored = { partition, position, record, last };
    return running.map(({ subscription, engine, epoch }) => ({
      partition,
      position,
      subscription: subscription.name,
      epoch,
      place: runningPlace(engine, subscription, stored),
    }));
  }

  #links(tenant: string, places: readonly EventPlace[]): OnLink[] {
    const { neighbours, linkPlace } = this.#deps;
    const all = places.flatMap(({ partition, position }) =>
      [...neighbours].map((to) => {
        return { partition, position, to, ...linkPlace(to, tenant, partition, position) };
      }),
    );
    return all.filter(({ up, held }) => up || held);
  }
}
