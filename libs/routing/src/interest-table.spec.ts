import { describe, expect, it } from '@jest/globals';
import { topicMatches } from '@eventmesh/event';
import fc from 'fast-check';
import { InterestTable, type SiteInterestEntries } from './interest-table.ts';

const DURABLE = 1;
const DIRECT = 2;
const entry = (topicFilter: string, tenant = 't', deliveryClass = DURABLE) => ({
  tenant,
  topicFilter,
  deliveryClass,
});

describe('InterestTable', () => {
  it('answers per tenant and delivery class, each site once and in order', () => {
    const table = new InterestTable();
    table.update([
      { site: 'west', interest: [entry('a/#'), entry('a/b'), entry('#', 'other')] },
      { site: 'east', interest: [entry('+/b'), entry('a/b', 't', DIRECT)] },
    ]);
    expect(table.destinationsFor('t', 'a/b', DURABLE)).toEqual(['east', 'west']);
    expect(table.destinationsFor('t', 'a/b', DIRECT)).toEqual(['east']);
    expect(table.destinationsFor('t', 'c', DURABLE)).toEqual([]);
    expect(table.destinationsFor('other', 'c', DURABLE)).toEqual(['west']);
    expect(table.destinationsFor('nobody', 'c', DURABLE)).toEqual([]);
    expect(table.sites).toEqual(['east', 'west']);
  });

  it('forgets cached answers with every change, and raises its version only then', () => {
    const table = new InterestTable();
    const east = { site: 'east', interest: [entry('a')] };
    expect(table.update([east])).toBe(true);
    expect(table.destinationsFor('t', 'a', DURABLE)).toEqual(['east']);
    expect(table.update([{ site: 'east', interest: [entry('a')] }])).toBe(false);
    expect(table.version).toBe(1);
    expect(table.update([east, { site: 'west', interest: [entry('+')] }])).toBe(true);
    expect(table.destinationsFor('t', 'a', DURABLE)).toEqual(['east', 'west']);
    expect(table.update([])).toBe(true);
    expect(table.destinationsFor('t', 'a', DURABLE)).toEqual([]);
    expect(table.version).toBe(3);
  });

  it('agrees with a scan of all interest through any updates, however small its cache', () => {
    const level = fc.constantFrom('a', 'b', '+');
    const filter = fc
      .array(level, { minLength: 1, maxLength: 3 })
      .map((levels) => levels.join('/'));
    const interest = fc.array(
      fc.record({
        tenant: fc.constantFrom('t', 'u'),
        topicFilter: fc.oneof(
          filter,
          filter.map((f) => `${f}/#`),
        ),
        deliveryClass: fc.constantFrom(DURABLE, DIRECT),
      }),
      { maxLength: 6 },
    );
    const state: fc.Arbitrary<SiteInterestEntries[]> = fc.uniqueArray(
      fc.record({ site: fc.constantFrom('x', 'y', 'z'), interest }),
      { selector: ({ site }) => site },
    );
    const topics = ['a', 'b', 'a/a', 'a/b', 'b/b/a', 'c'];
    fc.assert(
      fc.property(fc.array(state, { maxLength: 5 }), (states) => {
        const table = new InterestTable({ cachedTopicsMax: 3 });
        for (const sites of states) {
          table.update(sites);
          for (const tenant of ['t', 'u']) {
            for (const deliveryClass of [DURABLE, DIRECT]) {
              for (const topic of [...topics, ...topics]) {
                const wanted = sites
                  .filter(({ interest: entries }) =>
                    entries.some(
                      (e) =>
                        e.tenant === tenant &&
                        e.deliveryClass === deliveryClass &&
                        topicMatches(e.topicFilter, topic),
                    ),
                  )
                  .map(({ site }) => site)
                  .sort();
                expect(table.destinationsFor(tenant, topic, deliveryClass)).toEqual(wanted);
              }
            }
          }
        }
      }),
    );
  });
});
