import { describe, expect, it } from '@jest/globals';
import { topicMatches } from '@eventmesh/event';
import fc from 'fast-check';
import { TopicTrie } from './topic-trie.ts';

const level = fc.constantFrom('a', 'b', '', '$s', 'x y');
const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean(), level)
  .map(([levels, hash, last]) => [...levels, hash ? '#' : last].join('/'));

const matched = (trie: TopicTrie<string>, name: string) => [...trie.match(name)].sort();

describe('TopicTrie', () => {
  it.each([
    ['#', 'a', true],
    ['#', '$sys', false],
    ['+', '$sys', false],
    ['$sys/#', '$sys', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['+/+', '/', true],
    ['a/+/#', 'a/b', true],
    ['a', 'a/', false],
    ['a/$x', 'a/$x', true],
    ['a/+', 'a/$x', true],
  ])('filter %s on topic %s: %s', (pattern, name, expected) => {
    const trie = new TopicTrie<string>();
    trie.add(pattern, 'v');
    expect(trie.match(name).has('v')).toBe(expected);
    expect(trie.matchesAny(name)).toBe(expected);
  });

  it('finds a value once however many of its filters match', () => {
    const trie = new TopicTrie<string>();
    for (const pattern of ['#', 'a/#', 'a/+', 'a/b']) trie.add(pattern, 'v');
    expect([...trie.match('a/b')]).toEqual(['v']);
  });

  it('counts pairs, refuses the same pair twice and forgets what is removed', () => {
    const trie = new TopicTrie<string>();
    expect(trie.add('a/+', 'v')).toBe(true);
    expect(trie.add('a/+', 'v')).toBe(false);
    expect(trie.add('a/+', 'w')).toBe(true);
    expect(trie.size).toBe(2);
    expect(trie.remove('a/#', 'v')).toBe(false);
    expect(trie.remove('a/+', 'v')).toBe(true);
    expect(trie.remove('a/+', 'v')).toBe(false);
    expect(matched(trie, 'a/b')).toEqual(['w']);
    trie.clear();
    expect(trie.size).toBe(0);
    expect(trie.matchesAny('a/b')).toBe(false);
  });

  it('agrees with topicMatches after any additions and removals', () => {
    const step = fc.record({ add: fc.boolean(), filter, value: fc.constantFrom('u', 'v', 'w') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.array(topic), (steps, topics) => {
        const trie = new TopicTrie<string>();
        const twin = new Set<string>();
        for (const { add, filter: pattern, value } of steps) {
          const pair = `${value}:${pattern}`;
          if (add) {
            expect(trie.add(pattern, value)).toBe(!twin.has(pair));
            twin.add(pair);
          } else expect(trie.remove(pattern, value)).toBe(twin.delete(pair));
        }
        expect(trie.size).toBe(twin.size);
        for (const name of topics) {
          const pairs = [...twin].filter((pair) => topicMatches(pair.slice(2), name));
          const wanted = [...new Set(pairs.map((pair) => pair.slice(0, 1)))].sort();
          expect(matched(trie, name)).toEqual(wanted);
          expect(trie.matchesAny(name)).toBe(wanted.length > 0);
        }
      }),
      { numRuns: 500 },
    );
  });
});
