import { toBinary } from '@bufbuild/protobuf';
import type { MeshError } from '@eventmesh/errors';
import { checkTopicFilter } from '@eventmesh/event';
import type { KvCompare, KvOperation } from '@eventmesh/kv-api';
import {
  AcknowledgementsSchema,
  AdvertisementSchema,
  type Acknowledgement,
  type Advertisement,
} from '@eventmesh/proto-gen/registry';
import { ADVERTISEMENT_BYTES_MAX, advertisementBytes } from './advertisement-size.ts';
import { isNewer, type Advertiser } from './advertiser.ts';
import { Background } from './background.ts';
import { key } from './keys.ts';
import { REGISTRY_METRICS } from './metrics.ts';
import { isSite, type Parts } from './parts.ts';
import { includes, mergeAcknowledgements } from './versions.ts';

/** Keys and bytes of one transaction at most; well below what the control state allows. */
const KEYS_PER_WRITE = 64;
const BYTES_PER_WRITE = ADVERTISEMENT_BYTES_MAX;
const LINKS_MAX = 1000;

/**
 * Takes in what neighbours tell: newer advertisements and acknowledgements go into the control
 * state, from where every replica's sessions flood them on. What comes while a write is under way
 * is gathered for the next one, the newest of each site.
 */
export class LinkState {
  readonly #parts: Parts;
  readonly #advertiser: Advertiser;
  readonly #sitesMax: number;
  readonly #work: Background;
  readonly #advertisements = new Map<string, Advertisement>();
  /** By acknowledging site, then by the site whose interest it is. */
  readonly #acknowledgements = new Map<string, Map<string, Acknowledgement>>();

  constructor(
    parts: Parts,
    advertiser: Advertiser,
    sitesMax: number,
    onError: (error: MeshError) => void,
  ) {
    this.#parts = parts;
    this.#advertiser = advertiser;
    this.#sitesMax = sitesMax;
    parts.measure(REGISTRY_METRICS.unwritten, () => this.#advertisements.size);
    this.#work = new Background(() => this.#write(), parts.clock, onError);
  }

  advertised(advertisements: readonly Advertisement[]): void {
    const { state, site, metrics, log } = this.#parts;
    for (const advertisement of advertisements) {
      const from = advertisement.site;
      const known = this.#advertisements.get(from) ?? state.maps.advertisements.get(from)?.value;
      if (known !== undefined && !isNewer(advertisement, known)) {
        metrics.advertisements.inc({ result: 'stale' });
        continue;
      }
      if (from === site) {
        this.#advertiser.outbid(advertisement);
        continue;
      }
      const problem = this.#problem(advertisement);
      if (problem !== undefined) {
        metrics.advertisements.inc({ result: 'refused' });
        log.warn({ from, problem }, 'an advertisement was refused');
        continue;
      }
      metrics.advertisements.inc({ result: 'accepted' });
      this.#advertisements.set(from, advertisement);
    }
    if (this.#advertisements.size > 0) this.#work.poke();
  }

  acknowledged(acknowledgements: readonly Acknowledgement[]): void {
    const { site, metrics } = this.#parts;
    for (const ack of acknowledgements) {
      // Nobody else can say what this site has seen.
      if (!isSite(ack.site) || !isSite(ack.ofSite) || ack.site === site || !this.#knows(ack.site)) {
        metrics.acknowledgements.inc({ result: 'refused' });
        continue;
      }
      const gathered = this.#acknowledgements.get(ack.site) ?? new Map<string, Acknowledgement>();
      const stored = this.#parts.state.maps.acknowledgements.get(ack.site)?.value;
      const known =
        gathered.get(ack.ofSite) ?? stored?.acknowledgements.find((of) => of.ofSite === ack.ofSite);
      if (includes(known, ack)) {
        metrics.acknowledgements.inc({ result: 'stale' });
        continue;
      }
      metrics.acknowledgements.inc({ result: 'accepted' });
      gathered.set(ack.ofSite, ack);
      this.#acknowledgements.set(ack.site, gathered);
    }
    if (this.#acknowledgements.size > 0) this.#work.poke();
  }

  /** Resolves when all that was taken in before the call is in the control state. */
  written(): Promise<void> {
    return this.#work.run();
  }

  close(): Promise<void> {
    return this.#work.close();
  }

  #knows(site: string): boolean {
    return this.#advertisements.has(site) || this.#parts.state.maps.advertisements.has(site);
  }

  #problem(advertisement: Advertisement): string | undefined {
    const { site, epoch, sequence, links, interest } = advertisement;
    if (!isSite(site)) return 'the site has no legal name';
    if (epoch < 0n || sequence < 0n) return 'its epoch or sequence is negative';
    if (links.length > LINKS_MAX) return `it has more than ${LINKS_MAX} links`;
    const sites = this.#parts.state.maps.advertisements.size + this.#advertisements.size;
    if (!this.#knows(site) && sites >= this.#sitesMax) {
      return `the database is full at ${this.#sitesMax} sites (sitesMax)`;
    }
    if (advertisementBytes(advertisement) > ADVERTISEMENT_BYTES_MAX) {
      return `it is longer than ${ADVERTISEMENT_BYTES_MAX} bytes`;
    }
    try {
      for (const { topicFilter } of interest) checkTopicFilter(topicFilter);
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  }

  async #write(): Promise<void> {
    const { kv, state } = this.#parts;
    while (this.#advertisements.size + this.#acknowledgements.size > 0) {
      const compare: KvCompare[] = [];
      const then: KvOperation[] = [];
      const taken = this.#gather(compare, then);
      if (then.length > 0) {
        const result = await kv.transact({ compare, then });
        const seen = result.applied
          ? [result.revision]
          : result.current.map((entry) => entry?.modRevision ?? 0);
        await state.reached(Math.max(1, ...seen));
        if (!result.applied) continue;
      }
      for (const forget of taken) forget();
    }
  }

  /** Fills one transaction; the functions returned forget what it holds, once it is written. */
  #gather(compare: KvCompare[], then: KvOperation[]): (() => void)[] {
    const { maps } = this.#parts.state;
    const taken: (() => void)[] = [];
    let bytes = 0;
    const add = (at: string, value: Uint8Array, modRevision: number): boolean => {
      const full = then.length >= KEYS_PER_WRITE || bytes + value.length > BYTES_PER_WRITE;
      if (full && then.length > 0) return false;
      bytes += value.length;
      compare.push({ key: at, modRevision });
      then.push({ type: 'put', key: at, value });
      return true;
    };
    for (const [site, advertisement] of this.#advertisements) {
      const stored = maps.advertisements.get(site);
      const value = toBinary(AdvertisementSchema, advertisement);
      if (stored === undefined || isNewer(advertisement, stored.value)) {
        if (!add(key('advertisements', site), value, stored?.modRevision ?? 0)) return taken;
      }
      taken.push(() => {
        if (this.#advertisements.get(site) === advertisement) this.#advertisements.delete(site);
      });
    }
    for (const [site, gathered] of this.#acknowledgements) {
      const stored = maps.acknowledgements.get(site);
      const written = [...gathered.values()];
      const merged = mergeAcknowledgements(site, stored?.value, written);
      if (merged !== undefined) {
        const value = toBinary(AcknowledgementsSchema, merged);
        if (!add(key('acknowledgements', site), value, stored?.modRevision ?? 0)) return taken;
      }
      taken.push(() => {
        for (const ack of written) {
          if (gathered.get(ack.ofSite) === ack) gathered.delete(ack.ofSite);
        }
        if (gathered.size === 0) this.#acknowledgements.delete(site);
      });
    }
    return taken;
  }
}
