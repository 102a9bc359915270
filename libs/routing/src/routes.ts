/** What a site says about its links; a part of its advertisement. */
export interface SiteLinks {
  readonly site: string;
  readonly links: readonly LinkReport[];
}

export interface LinkReport {
  readonly toSite: string;
  /** 1 or more; 0 counts as 1, since a free link would let equal paths form a loop. */
  readonly cost: number;
  readonly up: boolean;
}

export interface ComputedRoute {
  readonly destination: string;
  /** The neighbour that is first on the way. */
  readonly nextHop: string;
  readonly cost: number;
}

/**
 * Next hops from `self` to every site that can be reached, sorted by destination. A link counts
 * only when both ends report it up; its cost in one direction is what the sending end says. Among
 * shortest paths the one whose sites sort lowest is taken: every site does the same, so that the
 * hops of an event follow one path and cannot circle while all have the same graph.
 *
 * Takes time in the square of the number of sites: 1,000 sites are some milliseconds.
 */
export function computeRoutes(self: string, advertisements: Iterable<SiteLinks>): ComputedRoute[] {
  const graph = bothWays(advertisements);
  const best = new Map<string, { cost: number; nextHop: string }>();
  const done = new Set([self]);
  relax(graph, best, self, { cost: 0, nextHop: '' });
  for (;;) {
    const site = nearest(best, done);
    if (site === undefined) break;
    done.add(site);
    relax(graph, best, site, best.get(site) as { cost: number; nextHop: string });
  }
  best.delete(self);
  return [...best]
    .map(([destination, { cost, nextHop }]) => ({ destination, nextHop, cost }))
    .sort((a, b) => (a.destination < b.destination ? -1 : 1));
}

type Graph = ReadonlyMap<string, ReadonlyMap<string, number>>;

function bothWays(advertisements: Iterable<SiteLinks>): Graph {
  const up = new Map<string, Map<string, number>>();
  for (const { site, links } of advertisements) {
    const to = new Map<string, number>();
    for (const link of links) {
      if (link.up && link.toSite !== site) to.set(link.toSite, Math.max(1, link.cost));
    }
    up.set(site, to);
  }
  for (const [site, to] of up) {
    for (const other of [...to.keys()]) if (up.get(other)?.has(site) !== true) to.delete(other);
  }
  return up;
}

/** All costs are at least 1, so whatever is as near through another site is still to come. */
function relax(
  graph: Graph,
  best: Map<string, { cost: number; nextHop: string }>,
  from: string,
  reached: { readonly cost: number; readonly nextHop: string },
): void {
  for (const [to, linkCost] of graph.get(from) ?? []) {
    const cost = reached.cost + linkCost;
    const nextHop = reached.nextHop === '' ? to : reached.nextHop;
    const known = best.get(to);
    const better =
      known === undefined || cost < known.cost || (cost === known.cost && nextHop < known.nextHop);
    if (better) best.set(to, { cost, nextHop });
  }
}

function nearest(
  best: ReadonlyMap<string, { readonly cost: number }>,
  done: ReadonlySet<string>,
): string | undefined {
  let site: string | undefined;
  let least = Infinity;
  for (const [candidate, { cost }] of best) {
    if (cost < least && !done.has(candidate)) {
      site = candidate;
      least = cost;
    }
  }
  return site;
}
