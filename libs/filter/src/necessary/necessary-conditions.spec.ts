import { describe, expect, it } from '@jest/globals';
import { compileFilters, type FilterSpec } from '../index.ts';
import type { Condition } from './condition.ts';
import { necessaryConditions } from './necessary-conditions.ts';

const SIGNS = { exact: '=', prefix: '^', suffix: '$' } as const;

/** `type=a | type=b if text type, integer count?` */
function shown({ oneOf, provided }: Condition): string {
  const atoms = oneOf.map(({ attribute, kind, text }) => `${attribute}${SIGNS[kind]}${text}`);
  const guards = provided.map(
    ({ attribute, as, orAbsent }) => `${as} ${attribute}${orAbsent ? '?' : ''}`,
  );
  return `${atoms.join(' | ')}${guards.length === 0 ? '' : ` if ${guards.join(', ')}`}`;
}

const conditionsOf = (filters: readonly FilterSpec[]): string[] => {
  // What is asked for must be a filter.
  compileFilters(filters);
  return necessaryConditions(filters).map(shown);
};

const long = 'x'.repeat(100);

describe('the necessary conditions of filters', () => {
  it.each<[string, FilterSpec[], string[]]>([
    ['no filters', [], []],
    ['exact', [{ exact: { type: 'a' } }], ['type=a']],
    ['exact of two', [{ exact: { type: 'a', region: 'eu' } }], ['type=a', 'region=eu']],
    ['prefix', [{ prefix: { source: '/a' } }], ['source^/a']],
    ['suffix', [{ suffix: { source: '/a' } }], ['source$/a']],
    ['a long prefix', [{ prefix: { source: `b${long}` } }], [`source^b${'x'.repeat(63)}`]],
    ['a long suffix', [{ suffix: { source: `${long}b` } }], [`source$${'x'.repeat(63)}b`]],
    ['a list', [{ exact: { type: 'a' } }, { prefix: { source: '/' } }], ['type=a', 'source^/']],
    [
      'all',
      [{ all: [{ not: { exact: { type: 'b' } } }, { exact: { region: 'eu' } }] }],
      ['region=eu'],
    ],
    [
      'any of what has one each, the tighter one',
      [
        {
          any: [
            { exact: { type: 'a' } },
            { all: [{ prefix: { id: '1' } }, { exact: { id: '12' } }] },
          ],
        },
      ],
      ['type=a | id=12'],
    ],
    ['any with one that has none', [{ any: [{ exact: { type: 'a' } }, { sql: 'TRUE' }] }], []],
    [
      'any of more than an index keeps',
      [{ any: Array.from({ length: 33 }, (_, i) => ({ exact: { id: `${i}` } })) }],
      [],
    ],
    ['not', [{ not: { exact: { type: 'a' } } }], []],
    ['not not', [{ not: { not: { exact: { type: 'a' } } } }], []],
    ['data', [{ data: { path: '$.a', equals: 1 } }], []],
    [
      'what comes after data',
      [{ data: { path: '$.a', equals: 1 } }, { exact: { id: '1' } }],
      ['id=1'],
    ],
    [
      'what comes after SQL that may be in error',
      [{ sql: 'LENGTH(region) > 1' }, { exact: { id: '1' } }],
      [],
    ],
    [
      'what comes before SQL that may be in error',
      [{ exact: { id: '1' } }, { sql: 'LENGTH(region) > 1' }],
      ['id=1'],
    ],
    [
      'what comes after SQL that is in error without an attribute',
      [{ sql: 'priority > 5' }, { exact: { id: '1' } }],
      ['id=1 if integer priority'],
    ],
    [
      'what comes after the negation of such SQL',
      [{ not: { sql: 'priority > 5' } }, { exact: { id: '1' } }],
      ['id=1 if integer priority'],
    ],
    [
      'SQL behind an exact filter for the same attribute',
      [{ exact: { region: 'eu' } }, { sql: "region LIKE 'e%'" }],
      ['region=eu', 'region^e if text region?'],
    ],
  ])('%s', (_, filters, expected) => {
    expect(conditionsOf(filters)).toEqual(expected);
  });
});

describe('the necessary conditions of an expression', () => {
  it.each<[string, string[]]>([
    ["type = 'a'", ['type=a if text type']],
    ["(type) = ('a')", ['type=a if text type']],
    ["TRUE AND type = CONCAT('a', 'b')", ['type=ab if text type']],
    ["type LIKE 'a'", ['type=a if text type']],
    ["type LIKE 'a%'", ['type^a if text type']],
    ["type LIKE '%a'", ['type$a if text type']],
    ["type LIKE 'a%b%c'", ['type^a if text type', 'type$c if text type']],
    ["type LIKE 'a_c'", ['type^a if text type', 'type$c if text type']],
    ["type LIKE 'a\\_c'", ['type=a_c if text type']],
    ["type LIKE '50\\%%'", ['type^50% if text type']],
    ["type LIKE '😀_'", ['type^😀 if text type']],
    ["type IN ('a', 'b', 'a')", ['type=a | type=b if string type']],
    ['region IN (1, TRUE)', ['region=1 | region=true if string region']],
    [
      "type = 'a' AND region = 'eu'",
      ['type=a if text type', 'region=eu if text type, text region'],
    ],
    ["type = 'a' OR region = 'eu'", ['type=a | region=eu if text type, text region']],
    ["EXISTS region AND region = 'eu'", ['region=eu if text region?']],
    ["EXISTS priority AND priority > 5 AND type = 'a'", ['type=a if integer priority?, text type']],
    ["NOT (priority > 5) AND type = 'a'", ['type=a if integer priority, text type']],
    ["vip AND type = 'a'", ['type=a if boolean vip, text type']],
    ["'1' AND type = 'a'", []],
    ["region NOT IN ('eu', 'us') AND type = 'a'", ['type=a if string region, text type']],
    ["region NOT LIKE 'e%' AND type = 'a'", ['type=a if text region, text type']],
    ["region != 'eu' AND type = 'a'", ['type=a if text region, text type']],
    [
      "(vip XOR priority = 1) AND type = 'a'",
      ['type=a if boolean vip, integer priority, text type'],
    ],
    ["(type = 'a') = TRUE AND id = '1'", ['id=1 if text type, text id']],
    // What may be equal to more than one text.
    ['priority = 5', []],
    ['vip = TRUE', []],
    ["'a' = type", []],
    ["'5' = priority", []],
    ['type = source', []],
    ["type = region AND id = '1'", []],
    ["LOWER(type) = 'a'", []],
    ["type IN (source, 'a')", []],
    ["'a' IN (type)", []],
    ['vip', []],
    // What says nothing, or the opposite.
    ["type != 'a'", []],
    ["type <> 'a'", []],
    ["type NOT LIKE 'a%'", []],
    ["type NOT IN ('a')", []],
    ["NOT (type = 'a')", []],
    ['NOT type', []],
    ["type LIKE '%'", []],
    ["type LIKE '_a%b_'", []],
    ["type = 'a' XOR id = '1'", []],
    ["type = 'a' OR priority > 5", []],
    ['EXISTS type', []],
    ['TRUE', []],
    // Nobody can tell beforehand whether what comes first is in error.
    ["ABS(priority) > 5 AND type = 'a'", []],
    ["priority + 1 > 5 AND type = 'a'", []],
    ["priority > 'x' AND type = 'a'", []],
    ["NOT vip AND type = 'a'", []],
    [`id IN (${Array.from({ length: 33 }, (_, i) => `'${i}'`).join(', ')})`, []],
    [
      `${'abcdefghi'
        .split('')
        .map((name) => `${name} > 1`)
        .join(' AND ')} AND type = 'a'`,
      [],
    ],
  ])('%s', (sql, expected) => {
    expect(conditionsOf([{ sql }])).toEqual(expected);
  });
});
