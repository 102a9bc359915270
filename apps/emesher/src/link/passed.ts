/** Destinations that are told apart; those of further ones count as one. */
export const PASSED_SITES_MAX = 128;

/** Stands for any site beyond those that are told apart. */
const ANY_SITE = '';

export interface PassedSite {
  readonly site: string;
  /** May be less than the first position that was passed by for it. */
  readonly first: number;
  readonly last: number;
}

/** What a lane has passed by behind the last record that it sent. */
export interface PassedBy {
  readonly upTo: number;
  /** Of the record at `upTo`; tells it from another one that a restored log has there. */
  readonly ingressTimeUs: number;
  readonly sites: readonly PassedSite[];
}

/** Whether something of a site may go over the link by now. */
export type MayLead = (site: string) => boolean;

/**
 * Where to read on. What was passed by for a site whose records may go over the link by now is read
 * again, everything else is not.
 */
export function readOnFrom(last: number, passed: PassedBy | undefined, mayLead: MayLead): number {
  if (passed === undefined) return last;
  const again = passed.sites.filter(({ site }) => site === ANY_SITE || mayLead(site));
  return Math.max(last, Math.min(passed.upTo, ...again.map(({ first }) => first - 1)));
}

/**
 * What one lane passes by: how far it has looked, and for which destinations. A record that is on
 * its way hides what lies before it, since a link never goes back behind what it has sent.
 */
export class Passed {
  readonly #sites = new Map<string, { first: number; last: number }>();
  #upTo = 0;
  #ingressTimeUs = 0;

  /** @param before What was passed by over earlier connections and still counts. */
  constructor(before?: PassedBy) {
    if (before === undefined) return;
    this.#upTo = before.upTo;
    this.#ingressTimeUs = before.ingressTimeUs;
    for (const { site, first, last } of before.sites) this.#sites.set(site, { first, last });
  }

  /** Position of the last record looked at; 0: none is known of. */
  get upTo(): number {
    return this.#upTo;
  }

  /** A record was looked at, in rising order; it is not sent to these. */
  looked(position: number, ingressTimeUs: number, passedBy: readonly string[]): void {
    this.#upTo = position;
    this.#ingressTimeUs = ingressTimeUs;
    for (const site of passedBy) {
      const known = this.#sites.get(site);
      if (known !== undefined) known.last = position;
      else if (this.#sites.size < PASSED_SITES_MAX - 1) {
        this.#sites.set(site, { first: position, last: position });
      } else this.#beyond(position);
    }
  }

  /** The last record sent is at `position`. */
  sent(position: number): void {
    for (const [site, range] of this.#sites) {
      if (range.last <= position) this.#sites.delete(site);
      else range.first = Math.max(range.first, position + 1);
    }
  }

  /** As it is now, or undefined when nothing was passed by behind `position`, the last one sent. */
  behind(position: number): PassedBy | undefined {
    if (this.#upTo <= position) return undefined;
    const sites = Array.from(this.#sites, ([site, range]) => ({ site, ...range }));
    return { upTo: this.#upTo, ingressTimeUs: this.#ingressTimeUs, sites };
  }

  #beyond(position: number): void {
    const any = this.#sites.get(ANY_SITE);
    if (any === undefined) this.#sites.set(ANY_SITE, { first: position, last: position });
    else any.last = position;
  }
}
