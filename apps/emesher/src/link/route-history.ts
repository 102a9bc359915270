/** Route changes of one destination remembered; older ones have long been drained or given up. */
const CHANGES_MAX = 16;

interface Change {
  /** The hop before the change. */
  readonly hop: string;
  /** By lane: positions below this were routed before the change. */
  readonly until: ReadonlyMap<string, number>;
}

/**
 * Which hop a record was routed to. When a route changes, what was read before stays with the old
 * hop, whose link drains it, and what comes after goes to the new one: each record belongs to one
 * link, none to neither. Positions of a lane (a tenant's partition) are asked for in rising order
 * by the reader that is furthest; others may come later and get the same answer.
 */
export class RouteHistory {
  readonly #nextHop: (site: string) => string | undefined;
  readonly #current = new Map<string, string>();
  readonly #changes = new Map<string, Change[]>();
  /** By lane: one past the highest position routed. */
  readonly #seen = new Map<string, number>();

  constructor(nextHop: (site: string) => string | undefined) {
    this.#nextHop = nextHop;
  }

  hop(lane: string, position: number, site: string): string | undefined {
    const now = this.#look(site);
    if (position >= (this.#seen.get(lane) ?? 0)) {
      this.#seen.set(lane, position + 1);
      return now;
    }
    for (const { hop, until } of this.#changes.get(site) ?? []) {
      if (position < (until.get(lane) ?? 0)) return hop;
    }
    return now;
  }

  /**
   * A reader begins behind `upTo`, where it has been before; its records were for these sites. As if
   * it had asked for them again.
   */
  resumed(lane: string, upTo: number, sites: readonly string[]): void {
    for (const site of sites) this.#look(site);
    this.#seen.set(lane, Math.max(this.#seen.get(lane) ?? 0, upTo + 1));
  }

  /** Whether some record of a site may belong to a hop: now, or by a change that is remembered. */
  mayBelong(site: string, hop: string): boolean {
    if (this.#look(site) === hop) return true;
    return (this.#changes.get(site) ?? []).some((change) => change.hop === hop);
  }

  /** The hop as it is now; a change since it was asked for last is remembered. */
  #look(site: string): string | undefined {
    const now = this.#nextHop(site);
    const was = this.#current.get(site);
    if (now !== was && now !== undefined) this.#change(site, was, now);
    return now;
  }

  #change(site: string, was: string | undefined, now: string): void {
    this.#current.set(site, now);
    // A site reached for the first time: nobody had its records before.
    if (was === undefined) return;
    const changes = this.#changes.get(site) ?? [];
    changes.push({ hop: was, until: new Map(this.#seen) });
    if (changes.length > CHANGES_MAX) changes.shift();
    this.#changes.set(site, changes);
  }
}
