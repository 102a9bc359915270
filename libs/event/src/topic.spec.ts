import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import {
  checkTopic,
  checkTopicFilter,
  filterCovers,
  filtersIntersect,
  topicMatches,
} from './index.ts';

// Few names, so that random topics and filters meet often.
const name = fc.constantFrom('a', 'b', '', '$s', 'é');
const topic = fc.array(name, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(
    fc.array(fc.oneof(name, fc.constant('+')), { maxLength: 4 }),
    fc.constantFrom<string[]>([], ['#']),
  )
  .map(([levels, rest]) => [...levels, ...rest])
  .filter((levels) => levels.length > 0)
  .map((levels) => levels.join('/'));

/** The definition, word for word (MQTT 4.7), slow and plain. */
function naiveMatch(f: readonly string[], t: readonly string[], first = true): boolean {
  const [level, ...rest] = f;
  const [have, ...below] = t;
  if (first && have?.startsWith('$') === true && level !== have) return false;
  if (level === '#') return true;
  if (level === undefined || have === undefined) return level === have;
  return (level === '+' || level === have) && naiveMatch(rest, below, false);
}
const naive = (f: string, t: string): boolean => naiveMatch(f.split('/'), t.split('/'));

/** Every topic over the given names with up to `depth` levels. */
function allTopics(names: readonly string[], depth: number): string[] {
  let last = names.map((one) => one);
  const all = [...last];
  for (let n = 1; n < depth; n++) {
    last = last.flatMap((head) => names.map((one) => `${head}/${one}`));
    all.push(...last);
  }
  return all;
}
// One name more than the filters use stands for "anything else".
const UNIVERSE = allTopics(['a', 'b', '$s', 'other'], 5);
const smallFilter = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'b', '$s', '+'), { maxLength: 3 }),
    fc.constantFrom<string[]>([], ['#']),
  )
  .map(([levels, rest]) => [...levels, ...rest].join('/'))
  .filter((text) => text !== '');

describe('topicMatches', () => {
  it.each([
    ['a/b', 'a/b', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['+', 'a/b', false],
    ['+/+', '/', true],
    ['#', '$sys/x', false],
    ['+/x', '$sys/x', false],
    ['$sys/#', '$sys/x', true],
    ['a/b/#', 'a', false],
  ])('%s on %s is %s (MQTT 4.7)', (f, t, expected) => {
    expect(topicMatches(f, t)).toBe(expected);
  });

  it('agrees with the definition on random filters and topics', () => {
    fc.assert(
      fc.property(filter, topic, (f, t) => topicMatches(f, t) === naive(f, t)),
      {
        numRuns: 3000,
      },
    );
  });
});

describe('filterCovers', () => {
  it.each([
    ['#', 'a/+', true],
    ['+/#', '#', true],
    ['a/#', 'a', true],
    ['a/+', 'a/#', false],
    ['#', '$s/a', false],
    ['+', 'a', true],
    ['a', '+', false],
  ])('%s over %s is %s', (outer, inner, expected) => {
    expect(filterCovers(outer, inner)).toBe(expected);
  });

  it('is true exactly when every topic of the inner filter is in the outer one', () => {
    fc.assert(
      fc.property(smallFilter, smallFilter, (outer, inner) => {
        const all = UNIVERSE.every((t) => !topicMatches(inner, t) || topicMatches(outer, t));
        return filterCovers(outer, inner) === all;
      }),
      { numRuns: 400 },
    );
  });
});

describe('filtersIntersect', () => {
  it('is true exactly when some topic is in both', () => {
    fc.assert(
      fc.property(smallFilter, smallFilter, (a, b) => {
        const some = UNIVERSE.some((t) => topicMatches(a, t) && topicMatches(b, t));
        return filtersIntersect(a, b) === some && filtersIntersect(b, a) === some;
      }),
      { numRuns: 400 },
    );
  });
});

describe('checkTopic', () => {
  it.each(['a', 'a/b', '/', '//a/', 'grüße/🌍', 'a b', 'a'.repeat(1024), 'a/'.repeat(63)])(
    'accepts %j',
    (t) => {
      expect(checkTopic(t)).toBe(t);
    },
  );

  it.each([
    ['', 'empty'],
    ['a/+', 'wildcard'],
    ['a#', 'wildcard'],
    ['$sys/a', 'reserved'],
    ['a\u0000', 'control'],
    ['a\nb', 'control'],
    ['a\u0085', 'control'],
    ['\ud800', 'surrogate'],
    ['a'.repeat(1025), '1024 bytes'],
    ['é'.repeat(513), '1024 bytes'],
    ['/'.repeat(64), '65 levels'],
  ])('refuses %j and names the field', (t, why) => {
    const thrown = caught(() => checkTopic(t, 'topic'));
    expect(thrown.details.field).toBe('topic');
    expect(thrown.message).toContain(why);
  });
});

describe('checkTopicFilter', () => {
  it.each(['#', '+', 'a/+/b/#', '$sys/#', '/+'])('accepts %j', (f) => {
    expect(checkTopicFilter(f)).toBe(f);
  });

  it.each(['', 'a+', '+a/b', 'a/#/b', 'a#', '##', 'a\u0001'])('refuses %j', (f) => {
    expect(caught(() => checkTopicFilter(f, 'topicFilters[0]')).details.field).toBe(
      'topicFilters[0]',
    );
  });
});

function caught(run: () => unknown): MeshError {
  try {
    run();
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
