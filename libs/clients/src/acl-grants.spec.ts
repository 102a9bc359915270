import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { filterCovers, topicMatches } from '@eventmesh/event';
import { Action, compileGrants } from './acl-grants.ts';

const level = fc.constantFrom('a', 'b', 'c', '');
const filterLevel = fc.constantFrom('a', 'b', 'c', '', '+');
const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(filterLevel, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, hash]) => [...levels, ...(hash ? ['#'] : [])].join('/'));
const grants = fc.array(fc.record({ topicFilter: filter, deny: fc.boolean() }), { maxLength: 8 });

const of = (action: Action, all: { topicFilter: string; deny: boolean }[]) =>
  compileGrants(all.map((grant) => ({ ...grant, action })));

describe('compileGrants', () => {
  it('decides topics as topicMatches of each grant would, deny over allow', () => {
    fc.assert(
      fc.property(grants, topic, (all, at) => {
        fc.pre(at !== '');
        const some = (deny: boolean) =>
          all.some((grant) => grant.deny === deny && topicMatches(grant.topicFilter, at));
        expect(of(Action.PUBLISH, all).allows(Action.PUBLISH, at)).toBe(some(false) && !some(true));
      }),
      { numRuns: 2000 },
    );
  });

  it('decides filters as filterCovers of each grant would, deny over allow', () => {
    fc.assert(
      fc.property(grants, filter, (all, at) => {
        fc.pre(at !== '');
        const some = (deny: boolean) =>
          all.some((grant) => grant.deny === deny && filterCovers(grant.topicFilter, at));
        const compiled = of(Action.SUBSCRIBE, all);
        const expected = some(false) && !some(true);
        expect(compiled.allows(Action.SUBSCRIBE, at)).toBe(expected);
        expect(compiled.allows(Action.SUBSCRIBE, at)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['$SYS/x', '$mesh', '$', ''])('never allows the reserved or empty name "%s"', (name) => {
    for (const action of [Action.PUBLISH, Action.SUBSCRIBE, Action.ADMIN, Action.INSPECT]) {
      const all = compileGrants(['#', '+/#', name].map((topicFilter) => ({ action, topicFilter })));
      expect(all.allows(action, name)).toBe(false);
    }
  });

  it('never allows publishing to a wildcard', () => {
    const all = of(Action.PUBLISH, [{ topicFilter: '#', deny: false }]);
    expect(all.allows(Action.PUBLISH, 'a/+')).toBe(false);
    expect(all.allows(Action.PUBLISH, '#')).toBe(false);
  });

  it('keeps actions apart', () => {
    const all = of(Action.PUBLISH, [{ topicFilter: '#', deny: false }]);
    expect(all.allows(Action.SUBSCRIBE, 'a')).toBe(false);
    expect(all.allows(Action.ADMIN, 'acl')).toBe(false);
  });
});
