import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { computeRoutes, type SiteLinks } from './routes.ts';

const up = (toSite: string, cost = 1) => ({ toSite, cost, up: true });
const hops = (self: string, sites: readonly SiteLinks[]) =>
  Object.fromEntries(computeRoutes(self, sites).map((r) => [r.destination, r.nextHop]));

/** Bellman-Ford over whole paths: the cheapest, then the one that sorts lowest. */
function naive(self: string, sites: readonly SiteLinks[]): Map<string, string[]> {
  const linked = (from: string, to: string) =>
    sites.find((s) => s.site === from)?.links.find((l) => l.toSite === to && l.up);
  const best = new Map<string, { cost: number; path: string[] }>([[self, { cost: 0, path: [] }]]);
  for (let round = 0; round < sites.length; round++) {
    for (const [from, { cost, path }] of [...best]) {
      for (const { site: to } of sites) {
        const link = linked(from, to);
        if (to === from || link === undefined || linked(to, from) === undefined) continue;
        const next = { cost: cost + Math.max(1, link.cost), path: [...path, to] };
        const known = best.get(to);
        const better =
          known === undefined ||
          next.cost < known.cost ||
          (next.cost === known.cost && next.path.join('/') < known.path.join('/'));
        if (better) best.set(to, next);
      }
    }
  }
  best.delete(self);
  return new Map([...best].map(([to, { path }]) => [to, path]));
}

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const graph = fc
  .array(
    fc.record({
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names),
      cost: fc.integer({ min: 0, max: 3 }),
      up: fc.integer({ min: 0, max: 5 }).map((n) => n > 0),
      oneWay: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    }),
    { maxLength: 14 },
  )
  .map((edges) => {
    const links = new Map(
      names.map((name) => [name, new Map<string, { cost: number; up: boolean }>()]),
    );
    for (const { from, to, cost, up: isUp, oneWay } of edges) {
      links.get(from)?.set(to, { cost, up: isUp });
      if (!oneWay) links.get(to)?.set(from, { cost: (cost + 1) % 4, up: true });
    }
    return [...links].map(([site, to]) => ({
      site,
      links: [...to].map(([toSite, link]) => ({ toSite, ...link })),
    }));
  });

describe('computeRoutes', () => {
  it('goes through the middle of a line', () => {
    const line = [
      { site: 'west', links: [up('mid')] },
      { site: 'mid', links: [up('west'), up('east')] },
      { site: 'east', links: [up('mid')] },
    ];
    expect(computeRoutes('west', line)).toEqual([
      { destination: 'east', nextHop: 'mid', cost: 2 },
      { destination: 'mid', nextHop: 'mid', cost: 1 },
    ]);
  });

  it('takes the cheaper way round and, of equal ones, the lowest site', () => {
    const ring = (direct: number) => [
      { site: 'a', links: [up('d', direct), up('b'), up('c')] },
      { site: 'b', links: [up('a'), up('d')] },
      { site: 'c', links: [up('a'), up('d')] },
      { site: 'd', links: [up('a', direct), up('b'), up('c')] },
    ];
    expect(hops('a', ring(1))['d']).toBe('d');
    expect(hops('a', ring(2))['d']).toBe('b');
    expect(hops('a', ring(5))['d']).toBe('b');
  });

  it('uses a link only when both ends report it up', () => {
    const west = { site: 'west', links: [up('east')] };
    expect(computeRoutes('west', [west])).toEqual([]);
    expect(computeRoutes('west', [west, { site: 'east', links: [] }])).toEqual([]);
    const down = { site: 'east', links: [{ toSite: 'west', cost: 1, up: false }] };
    expect(computeRoutes('west', [west, down])).toEqual([]);
    expect(computeRoutes('nowhere', [west, { site: 'east', links: [up('west')] }])).toEqual([]);
  });

  it('finds the same paths as brute force, which every site on them goes on with', () => {
    fc.assert(
      fc.property(graph, (sites) => {
        for (const self of names) {
          const expected = naive(self, sites);
          const routes = computeRoutes(self, sites);
          expect(routes.map((r) => r.destination)).toEqual([...expected.keys()].sort());
          for (const { destination } of routes) {
            const path: string[] = [];
            for (let at = self; at !== destination;) {
              at = hops(at, sites)[destination] ?? destination;
              path.push(at);
              expect(path.length).toBeLessThanOrEqual(names.length);
            }
            expect(path).toEqual(expected.get(destination));
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
