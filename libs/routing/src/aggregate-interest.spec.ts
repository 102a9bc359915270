import { describe, expect, it } from '@jest/globals';
import { filterCovers, topicMatches } from '@eventmesh/event';
import fc from 'fast-check';
import { aggregateInterest } from './aggregate-interest.ts';

const level = fc.constantFrom('a', 'b', 'c', '', '$s');
const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean(), level)
  .map(([levels, hash, last]) => [...levels, hash ? '#' : last].join('/'));
const filters = fc.array(filter, { maxLength: 30 });

const wanted = (by: readonly string[], name: string) => by.some((f) => topicMatches(f, name));

describe('aggregateInterest', () => {
  it.each<[string, string[], number, string[]]>([
    ['nothing', [], 5, []],
    ['duplicates', ['a/b', 'a/b'], 5, ['a/b']],
    ['covered by #', ['a/b', 'a', 'a/#', 'b'], 5, ['a/#', 'b']],
    ['of two that match the same the shorter', ['+/#', '#'], 5, ['#']],
    ['covered by +', ['a/b', 'a/+'], 5, ['a/+']],
    ['# does not cover $', ['#', '$sys/x', 'a'], 5, ['#', '$sys/x']],
    ['the deepest branch is joined first', ['a/b/1', 'a/b/2', 'c'], 2, ['a/b/#', 'c']],
    ['the biggest of a depth first', ['a/1', 'b/1', 'b/2', 'b/3', 'a/2'], 3, ['a/1', 'a/2', 'b/#']],
    ['upward until it fits', ['a/b/1', 'a/c/2', 'b/1'], 1, ['#']],
    ['$ levels stay apart', ['$s/1', '$s/2', 'a', 'b'], 2, ['#', '$s/#']],
  ])('%s', (_, given, limit, expected) => {
    expect(aggregateInterest(given, limit)).toEqual(expected);
  });

  it('without a limit drops exactly what another filter covers and loses no topic', () => {
    fc.assert(
      fc.property(filters, fc.array(topic), (given, topics) => {
        const kept = aggregateInterest(given);
        const distinct = [...new Set(given)];
        // `#` and `+/#` match the same topics; the shorter one stays.
        const drops = (o: string, f: string) => o !== f && f !== '#' && filterCovers(o, f);
        const naive = distinct.filter((f) => !distinct.some((o) => drops(o, f)));
        expect(kept).toEqual(naive.sort());
        for (const name of topics) expect(wanted(kept, name)).toBe(wanted(given, name));
      }),
      { numRuns: 500 },
    );
  });

  it('within a limit loses no topic and keeps the limit, $ levels aside', () => {
    fc.assert(
      fc.property(
        filters,
        fc.integer({ min: 1, max: 8 }),
        fc.array(topic),
        (given, limit, topics) => {
          const kept = aggregateInterest(given, limit);
          const reserved = new Set(
            given.filter((f) => f.startsWith('$')).map((f) => f.split('/')[0]),
          );
          expect(kept.length).toBeLessThanOrEqual(Math.max(limit, reserved.size + 1));
          for (const name of topics) {
            if (wanted(given, name)) expect(wanted(kept, name)).toBe(true);
          }
          for (const f of given) expect(kept.some((k) => filterCovers(k, f))).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('does not depend on the order of the filters', () => {
    fc.assert(
      fc.property(filters, fc.integer({ min: 1, max: 8 }), (given, limit) => {
        const backwards = [...given].reverse();
        expect(aggregateInterest(backwards, limit)).toEqual(aggregateInterest(given, limit));
      }),
    );
  });
});
