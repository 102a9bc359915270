import type { SilentEmesher } from '@eventmesh/adapter-api';
import type { EventPlace } from '../inspect/journal.ts';
import type { EmesherBooks, LocalBooks } from '../inspect/local-books.ts';
import type { LocalMemory } from '../inspect/local-memory.ts';
import type { Inquiry, Inspector, Located, Recalled, Scope } from '../inspect/memory.ts';
import { booksFromWire } from './books-wire.ts';
import { inspectorToWire } from './inspector-wire.ts';
import { locatedFromWire, placeToWire, recalledFromWire } from './memory-wire.ts';
import { PeerRound, type RoundDeps } from './peer-round.ts';

export interface SiteMemoryDeps extends RoundDeps {
  readonly localMemory: Pick<LocalMemory, 'recall' | 'locate'>;
  readonly localBooks: Pick<LocalBooks, 'read'>;
}

/** What all emeshers of the site remember, and have in hand: each is asked for its own part. */
export class SiteMemory {
  readonly #deps: SiteMemoryDeps;

  constructor(deps: SiteMemoryDeps) {
    this.#deps = deps;
  }

  /** Begins an inspection of one event. */
  inquire(inspector: Inspector): Inquiry {
    return new SiteInquiry(this.#deps, inspector);
  }

  /** The books of a tenant at each emesher that tells them; this one is the first. */
  async books(inspector: Inspector): Promise<{
    readonly told: readonly EmesherBooks[];
    readonly silent: readonly SilentEmesher[];
  }> {
    const round = new PeerRound(this.#deps);
    const request = { inspector: inspectorToWire(inspector) };
    const asked = round.ask(async (client, options) => {
      const response = await client.readBooks(request, options);
      return { member: response.member, answer: booksFromWire(response) };
    });
    const own = await this.#deps.localBooks.read(inspector.tenant);
    const told = whole(round, this.#deps.member, own, await asked);
    return { told, silent: round.silent };
  }
}

class SiteInquiry implements Inquiry {
  readonly #deps: SiteMemoryDeps;
  readonly #inspector: Inspector;
  readonly #round: PeerRound;

  constructor(deps: SiteMemoryDeps, inspector: Inspector) {
    this.#deps = deps;
    this.#inspector = inspector;
    this.#round = new PeerRound(deps);
  }

  get silent(): readonly SilentEmesher[] {
    return this.#round.silent;
  }

  async recall(id: string, source: string | undefined): Promise<Recalled> {
    const { tenant } = this.#inspector;
    const inspector = inspectorToWire(this.#inspector);
    const request = { inspector, eventId: id, source: source ?? '' };
    const own = this.#deps.localMemory.recall(tenant, id, source);
    const told = await this.#round.ask(async (client, options) => {
      const response = await client.recallEvent(request, options);
      return { member: response.member, answer: recalledFromWire(tenant, response) };
    });
    const all = whole(this.#round, this.#deps.member, own, told);
    return {
      places: distinct(all.flatMap(({ places }) => places)),
      refusals: byTime(all.flatMap(({ refusals }) => refusals)),
      more: all.some(({ more }) => more),
    };
  }

  async locate(places: readonly EventPlace[], scope: Scope): Promise<Located> {
    if (places.length === 0) return { steps: [], standings: [], links: [], more: false };
    const { stepsOnly = false, subscription = '' } = scope;
    const inspector = inspectorToWire(this.#inspector);
    const request = { inspector, places: places.map(placeToWire), stepsOnly, subscription };
    const asked = this.#round.ask(async (client, options) => {
      const response = await client.locateEvent(request, options);
      return { member: response.member, answer: locatedFromWire(response) };
    });
    const own = await this.#deps.localMemory.locate(this.#inspector.tenant, places, scope);
    const all = whole(this.#round, this.#deps.member, own, await asked);
    return {
      steps: byTime(all.flatMap(({ steps }) => steps)),
      standings: all.flatMap(({ standings }) => standings),
      links: all.flatMap(({ links }) => links),
      more: all.some(({ more }) => more),
    };
  }
}

/** This emesher's answer and those of the others; who had more to tell is named. */
function whole<T extends { readonly more: boolean }>(
  round: PeerRound,
  member: string,
  own: T,
  told: readonly (readonly [emesher: string, answer: T])[],
): T[] {
  const all: readonly (readonly [string, T])[] = [[member, own], ...told];
  for (const [emesher, { more }] of all) if (more) round.note(emesher, MORE);
  return all.map(([, answer]) => answer);
}

const MORE = 'it has more to tell than fits an answer; ask for one source, or one subscription';

/** The same record is remembered by more than one, as after a retried append. */
function distinct(places: readonly EventPlace[]): EventPlace[] {
  const all = new Map(places.map((place) => [`${place.partition}:${place.position}`, place]));
  return [...all.values()].sort((a, b) => a.position - b.position || a.partition - b.partition);
}

const byTime = <T extends { readonly timeUs: number }>(all: readonly T[]): T[] =>
  all.toSorted((a, b) => a.timeUs - b.timeUs);
