import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { OutOfSteps, linearPattern } from './governance-pattern.ts';

const matches = (pattern: string, text: string): boolean =>
  linearPattern(pattern, { left: 1_000_000 }).test(text);

const CASES: [pattern: string, texts: string[]][] = [
  ['^[a-z]+$', ['abc', 'aBc', '', 'a\nb']],
  ['a|b|', ['a', 'c', '']],
  ['^(?:ab|a)(?<rest>c*)$', ['ab', 'ac', 'abcc', 'abca']],
  ['^a{2,3}b{2}c{1,}d{0,1}$', ['aabbc', 'aaabbccd', 'abbc', 'aaaabbc']],
  ['^\\d{4}-\\d{2}-\\d{2}$', ['2026-01-02', '2026-1-2', 'x2026-01-02']],
  ['\\bcat\\b', ['cat', 'a cat.', 'concat', 'cats']],
  ['\\Bcat', ['concat', 'cat']],
  ['^.$', ['a', '\n', '😀', 'ab']],
  ['^\\p{L}+$', ['éa', 'a1']],
  ['^[^\\]\\\\]$', ['a', ']', '\\']],
  ['^\\u{1F600}$|^\\uD83D\\uDE01$|^\\u0041$|^\\x42$', ['😀', '😁', 'A', 'B', 'C']],
  ['^(a*)*b$', ['aaab', 'aaaa', 'b']],
  ['^(|a)+$', ['', 'aa', 'ab']],
  ['^a+?b*?$', ['a', 'aab', 'c']],
  ['\\/\\.\\*\\t', ['/.*\t', '/x']],
  ['$^', ['', 'a']],
];

describe('linearPattern', () => {
  it.each(CASES)('reads %s as the engine does', (pattern, texts) => {
    for (const text of texts) {
      expect([text, matches(pattern, text)]).toEqual([text, RegExp(pattern, 'u').test(text)]);
    }
  });

  it('agrees with the engine on random patterns and texts', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '(?:a|b)', '(ab)', '\\b');
    const quantified = fc
      .tuple(atom, fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,2}', '{0,}'))
      .filter(([one, many]) => one !== '\\b' || many === '')
      .map(([one, many]) => one + many);
    const sequence = fc.array(quantified, { maxLength: 4 }).map((parts) => parts.join(''));
    const pattern = fc
      .tuple(
        fc.constantFrom('', '^'),
        fc.array(sequence, { minLength: 1, maxLength: 3 }),
        fc.constantFrom('', '$'),
      )
      .map(([start, options, end]) => `${start}(?:${options.join('|')})${end}`);
    const text = fc.array(fc.constantFrom('a', 'b', ' ', '😀'), { maxLength: 6 });
    fc.assert(
      fc.property(pattern, text, (source, chars) => {
        const given = chars.join('');
        expect(matches(source, given)).toBe(RegExp(source, 'u').test(given));
      }),
      { numRuns: 3000 },
    );
  });

  it.each(['(a+)+$', '(a|a)*$', '(.*a){12}$', '^(([a-z])+.)+[A-Z]([a-z])+$', 'a*a*a*a*b'])(
    'takes bounded steps where backtracking explodes: %s',
    (pattern) => {
      const budget = { left: 5_000_000 };
      linearPattern(pattern, budget).test(`${'a'.repeat(5000)}!`);
      expect(budget.left).toBeGreaterThan(0);
    },
  );

  it('stops when its steps are used up', () => {
    const budget = { left: 1000 };
    expect(() => linearPattern('b$', budget).test('a'.repeat(2000))).toThrow(OutOfSteps);
  });

  it.each([
    '(a)\\1',
    '(?<x>a)\\k<x>',
    'a(?=b)',
    'a(?!b)',
    '(?<=a)b',
    '(?<!a)b',
    '(',
    'a{1000}{1000}',
  ])('refuses %s', (pattern) => {
    expect(() => matches(pattern, 'a')).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    );
  });
});
