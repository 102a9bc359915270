import { create, toBinary } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import {
  AdvertisementSchema,
  Member_Kind,
  type Advertisement,
  type Interest,
} from '@eventmesh/proto-gen/registry';
import { ADVERTISEMENT_BYTES_MAX, advertisementBytes } from './advertisement-size.ts';
import { Background } from './background.ts';
import { INTEREST_FILTERS_MAX, InterestBook, aggregate, interestKey } from './interest-book.ts';
import { key } from './keys.ts';
import type { Parts } from './parts.ts';

/** Lost races with other replicas until the run fails and is repeated with backoff. */
const ATTEMPTS_MAX = 16;
/** Shortest time between two outbids, so that two registries of one name cannot flood the mesh. */
const OUTBID_PAUSE_MS = 1000;

/**
 * Keeps this site's advertisement equal to its state: interest of its subscriptions, links that
 * some replica keeps up, address of an emesher. Everything is derived from the control state alone,
 * so that replicas agree; the write is a compare-and-set on the advertisement that the derivation
 * has seen, so that a replica which lags behind cannot take back what another one has promised.
 *
 * Interest is added at once and removed after a linger, which bridges a consumer that reconnects.
 */
export class Advertiser {
  readonly #parts: Parts;
  readonly #lingerMs: number;
  readonly #book = new InterestBook();
  readonly #work: Background;
  /** Advertised entries that nothing here wants any more: since when. */
  readonly #unwanted = new Map<string, number>();
  /** An advertisement of this site that was met elsewhere and is newer than ours. */
  #outbid: Advertisement | undefined;
  #outbidAfter = 0;

  constructor(parts: Parts, lingerMs: number, onError: (error: MeshError) => void) {
    this.#parts = parts;
    this.#lingerMs = lingerMs;
    this.#work = new Background(() => this.#sync(), parts.clock, onError);
    parts.state.onChange((changes) => {
      for (const { area, key: at, previous, current } of changes) {
        if (area === 'subscriptions') {
          if (previous !== undefined) this.#book.remove(previous);
          if (current !== undefined) this.#book.add(current);
        } else if (area === 'advertisements' && at === parts.site) this.#gauge(current);
      }
      const matters = changes.some(
        ({ area, key: at }) =>
          RELEVANT.has(area) || (area === 'advertisements' && at === parts.site),
      );
      if (matters) this.#work.poke();
    });
  }

  start(): void {
    this.#work.poke();
  }

  get own(): Advertisement | undefined {
    return this.#parts.state.maps.advertisements.get(this.#parts.site)?.value;
  }

  /** Resolves with the interest version that takes in all subscriptions up to a revision. */
  async covers(revision: number, signal: AbortSignal): Promise<bigint> {
    await this.#parts.state.reached(revision, signal);
    await this.#work.run();
    return this.own?.interestVersion ?? 0n;
  }

  /**
   * Somebody still knows an advertisement of this site that is newer than ours: the control state
   * was set up anew or restored from a backup. Ours must win, with a higher epoch.
   */
  outbid(met: Advertisement): void {
    this.#outbid = met;
    this.#work.pokeAfter(Math.max(0, this.#outbidAfter - this.#parts.clock.now()));
  }

  close(): Promise<void> {
    return this.#work.close();
  }

  async #sync(): Promise<void> {
    const { kv, state, site, metrics } = this.#parts;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const stored = state.maps.advertisements.get(site);
      const next = this.#next(stored?.value);
      if (next === undefined) return;
      const result = await kv.put(
        key('advertisements', site),
        toBinary(AdvertisementSchema, next.advertisement),
        { ifRevision: stored?.modRevision ?? 0 },
      );
      if (result.applied) metrics.advertised.inc({ reason: next.reason });
      await state.reached(result.applied ? result.revision : (result.current?.modRevision ?? 1));
    }
    throw new MeshError('Aborted', 'this site’s advertisement is written by others all the time');
  }

  /** The advertisement to write, or undefined when the stored one says it all. */
  #next(
    stored: Advertisement | undefined,
  ): { advertisement: Advertisement; reason: string } | undefined {
    const { site, clock } = this.#parts;
    const now = clock.now();
    const advertisement = create(AdvertisementSchema, {
      site,
      epoch: stored?.epoch ?? BigInt(now),
      sequence: (stored?.sequence ?? 0n) + 1n,
      links: this.#links(),
      interest: this.#interest(stored?.interest ?? [], now),
      interestVersion: stored?.interestVersion ?? 1n,
      httpAddress: this.#httpAddress(),
    });
    fit(advertisement);
    const interestSame =
      stored !== undefined && sameList(stored.interest, advertisement.interest, interestKey);
    if (!interestSame && stored !== undefined) advertisement.interestVersion += 1n;
    if (this.#takeOutbid(advertisement, stored, now)) return { advertisement, reason: 'outbid' };
    if (!interestSame) return { advertisement, reason: 'interest' };
    if (!sameList(stored.links, advertisement.links, ({ toSite, cost }) => `${toSite}=${cost}`)) {
      return { advertisement, reason: 'links' };
    }
    if (stored.httpAddress !== advertisement.httpAddress) return { advertisement, reason: 'other' };
    return undefined;
  }

  #takeOutbid(next: Advertisement, stored: Advertisement | undefined, now: number): boolean {
    const met = this.#outbid;
    if (met === undefined || now < this.#outbidAfter) return false;
    this.#outbid = undefined;
    if (stored !== undefined && !isNewer(met, stored)) return false;
    this.#outbidAfter = now + OUTBID_PAUSE_MS;
    next.epoch = max(met.epoch + 1n, BigInt(now));
    next.interestVersion = max(met.interestVersion, next.interestVersion) + 1n;
    this.#parts.log.warn(
      { metEpoch: String(met.epoch), epoch: String(next.epoch) },
      'the mesh knew a newer advertisement of this site; its control state was renewed or restored',
    );
    return true;
  }

  #interest(stored: readonly Interest[], now: number): Interest[] {
    const wanted = this.#book.interest();
    const wantedKeys = new Set(wanted.map(interestKey));
    const lingering: Interest[] = [];
    const unwanted = new Set<string>();
    let wait = Infinity;
    for (const entry of stored) {
      const at = interestKey(entry);
      if (wantedKeys.has(at)) continue;
      const since = this.#unwanted.get(at) ?? now;
      unwanted.add(at);
      this.#unwanted.set(at, since);
      const left = since + this.#lingerMs - now;
      if (left <= 0) continue;
      lingering.push(entry);
      wait = Math.min(wait, left);
    }
    for (const at of this.#unwanted.keys()) if (!unwanted.has(at)) this.#unwanted.delete(at);
    if (lingering.length === 0) return wanted;
    this.#work.pokeAfter(wait);
    return aggregate([...wanted, ...lingering], INTEREST_FILTERS_MAX);
  }

  /** Only links that are up; a neighbour that is not named is down. */
  #links(): { toSite: string; cost: number; up: boolean }[] {
    const costs = new Map<string, number>();
    for (const [at, { value }] of this.#parts.state.maps.links) {
      const neighbour = at.slice(0, at.indexOf('/'));
      costs.set(neighbour, Math.min(value, costs.get(neighbour) ?? Infinity));
    }
    return [...costs.keys()].sort().map((toSite) => ({
      toSite,
      cost: costs.get(toSite) ?? 1,
      up: true,
    }));
  }

  #httpAddress(): string {
    const addresses = [...this.#parts.state.maps.members.values()]
      .filter(({ value }) => value.kind === Member_Kind.EMESHER && value.httpAddress !== '')
      .sort((a, b) => (a.value.id < b.value.id ? -1 : 1));
    return addresses[0]?.value.httpAddress ?? '';
  }

  #gauge(own: Advertisement | undefined): void {
    this.#parts.metrics.interestFilters.set(own?.interest.length ?? 0);
    this.#parts.metrics.interestVersion.set(Number(own?.interestVersion ?? 0n));
  }
}

const RELEVANT = new Set(['subscriptions', 'links', 'members']);

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** Whether `a` replaces `b`. */
export const isNewer = (a: Advertisement, b: Advertisement): boolean =>
  a.epoch === b.epoch ? a.sequence > b.sequence : a.epoch > b.epoch;

function sameList<T>(a: readonly T[], b: readonly T[], of: (item: T) => string): boolean {
  return a.length === b.length && a.every((item, index) => of(item) === of(b[index] as T));
}

/** Joins filters until the advertisement is short enough. */
function fit(advertisement: Advertisement): void {
  let limit = INTEREST_FILTERS_MAX;
  while (limit > 1 && advertisementBytes(advertisement) > ADVERTISEMENT_BYTES_MAX) {
    limit = Math.floor(limit / 2);
    advertisement.interest = aggregate(advertisement.interest, limit);
  }
}
