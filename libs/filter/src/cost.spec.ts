import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import { EventView, encodeEvent, type AttributeValue } from '@eventmesh/event';
import { Budget, FILTER_STEPS_MAX } from './budget.ts';
import { compileWithin } from './filter.ts';
import { compileFilters, explainFilters, type FilterSpec } from './index.ts';

function eventOf(x: AttributeValue | string, json?: unknown): EventView {
  const value: AttributeValue = typeof x === 'string' ? { kind: 'string', value: x } : x;
  const data = { kind: 'text' as const, bytes: Buffer.from(JSON.stringify(json ?? null)) };
  const attributes: [string, AttributeValue][] = [
    ['x', value],
    ['y', value],
  ];
  return new EventView(encodeEvent({ id: '1', source: 's', type: 't', attributes, data }));
}

const UNLIMITED = 2 ** 40;
const LONG = 16_000;
const long = 'x'.repeat(LONG);
const wide = '😀'.repeat(LONG / 2);
const numbers = eventOf('', Array(100_000).fill(1));
const members = eventOf('', Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [i, 1])));
const nested = eventOf(
  '',
  Array.from({ length: 250 }, () => Array.from({ length: 100 }, () => 1)),
);
const bytes = (length: number): AttributeValue => ({ kind: 'bytes', value: Buffer.alloc(length) });

const sqls = (part: string, parts: number, filters: number): FilterSpec[] =>
  Array.from({ length: filters }, () => ({ sql: Array(parts).fill(part).join(' AND ') }));
const anyOf = (filter: FilterSpec, times: number): FilterSpec[] => [
  { any: Array.from({ length: times }, () => filter) },
];
const look = (path: string): FilterSpec => ({ data: { path, equals: 2 } });

/** Filters within all limits, an event for them, and the least of looks that they are good for. */
const CORPUS: [string, FilterSpec[], EventView, number][] = [
  ['LIKE that fails late', sqls("x NOT LIKE '%_a%'", 180, 8), eventOf(long), 1440 * LONG],
  ['LIKE that fails at once', sqls("x NOT LIKE 'q_q%'", 180, 8), eventOf(long), 1440 * LONG],
  ['LIKE with surrogates', sqls("x NOT LIKE '%_a%'", 180, 8), eventOf(wide), 720 * LONG],
  [
    'LIKE with a long part',
    sqls(`x NOT LIKE '%_${'x'.repeat(3900)}a%'`, 1, 16),
    eventOf(long),
    16 * 120 * LONG,
  ],
  ['functions', sqls("UPPER(LOWER(x)) != 'a'", 100, 8), eventOf(wide), 1600 * LONG],
  ['lengths', sqls('LENGTH(x) > 0', 110, 8), eventOf(wide), 880 * LONG],
  ['comparisons', sqls('x = y', 250, 5), eventOf(long), (1250 * LONG) / 4],
  [
    'members of IN',
    sqls(`x NOT IN (${Array(300).fill('LEFT(y,9)').join(',')})`, 1, 1),
    eventOf(long),
    300 * LONG,
  ],
  ['bytes as text', sqls("x != 'a'", 250, 5), eventOf(bytes(12_000)), 1250 * 2000],
  ['many bytes as text', anyOf({ exact: { x: 'a' } }, 250), eventOf(bytes(200_000)), 250 * 200_000],
  ['items', anyOf(look('$[*]'), 250), numbers, 250 * 100_000],
  ['what items have not', anyOf(look('$[*].a'), 250), numbers, 250 * 100_000],
  ['members', anyOf(look('$[*]'), 250), members, 250 * 20_000],
  ['items of items', anyOf(look('$[*][*]'), 250), nested, 250 * 25_000],
];

describe('the cost of an evaluation', () => {
  it.each(CORPUS)('counts what is looked at: %s', (_, filters, event, least) => {
    const budget = new Budget(UNLIMITED);
    compileWithin(budget, filters)(event);
    expect(budget.spent).toBe(0);
    expect(budget.spentBefore).toBeGreaterThanOrEqual(Math.min(least, FILTER_STEPS_MAX));
  });

  it.each(CORPUS)('ends with one error when the steps are used up: %s', (_, filters, event) => {
    const errors: string[] = [];
    const onError = (path: string, kind: string) => errors.push(`${path} ${kind}`);
    expect(compileFilters(filters, { onError })(event)).toBe(false);
    expect(errors).toEqual([expect.stringMatching(/^filters\[\d+\]\S* cost$/)]);
  });

  it.each<[string, FilterSpec, number]>([
    ['attributes and constants', { sql: "x LIKE 'a%' OR x = 'a' OR x IN ('b', 'c')" }, 0],
    ['attributes', { prefix: { x: 'a' } }, 0],
    ['a search', { sql: "x LIKE '%_a%'" }, 1000 + 32 + 4 * 1000],
    ['a search that ends soon', { sql: "x LIKE '%x_x%'" }, 1000 + 32 + 4 * 3],
    ['a long search', { sql: `x LIKE '%_${'a'.repeat(63)}%'` }, 1000 + 32 + 5 * 1000],
    ['functions', { sql: "LEFT(x, 10) = 'a' OR LENGTH(x) = 1" }, 2000],
    ['a comparison', { sql: 'x != y' }, 250],
    ['a place in the data', { data: { path: '$[0]', equals: 1 } }, 5],
    ['items', { data: { path: '$[*]', prefix: 'a'.repeat(80) } }, 5 + 20 * (5 + 10)],
  ])('is what is looked at: %s', (_, filter, steps) => {
    const budget = new Budget();
    compileWithin(budget, [filter])(eventOf('x'.repeat(1000), Array(20).fill('a')));
    expect(budget.spentBefore).toBe(steps);
  });

  it('is counted from the start for each event', () => {
    const matches = compileFilters(sqls("x NOT LIKE '%_a%'", 30, 1));
    for (let i = 0; i < 10; i++) expect(matches(eventOf(long.slice(0, 10_000)))).toBe(true);
    const [costly] = CORPUS;
    const strict = compileFilters(costly?.[1] ?? []);
    expect(strict(eventOf(long))).toBe(false);
    expect(strict(eventOf('xyz'))).toBe(true);
  });

  it('makes no yes of a filter that could not be asked', () => {
    const costly = { all: sqls("x NOT LIKE '%_a%'", 180, 8) };
    expect(compileFilters([{ not: costly }])(eventOf(long))).toBe(false);
    expect(compileFilters([{ any: [costly, { exact: { id: '1' } }] }])(eventOf(long))).toBe(false);
  });

  it('is what an explanation names, at the filter that was on', () => {
    const { passed, because } = explainFilters(sqls("x NOT LIKE '%_a%'", 180, 8), eventOf(long));
    expect(passed).toBe(false);
    expect(because?.path).toMatch(/^filters\[\d\]\.sql$/);
    expect(because?.error).toBe(
      'cost: the filters together take more than 2500000 steps over this event',
    );
    expect(because?.expression.length).toBeLessThanOrEqual(512);
  });

  it('changes no answer as long as there are enough steps', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '😀'), maxLength: 6 });
    const path = fc.constantFrom('$', '$[*]', '$[*][*]', '$.a', '$[*].a');
    const leaf: fc.Arbitrary<FilterSpec> = fc.oneof(
      text.map((like) => ({ sql: `x LIKE '${like}'` })),
      text.map((wanted) => ({ sql: `LOWER(x) = '${wanted}' OR x = missing` })),
      fc.record({ data: fc.record({ path, equals: fc.constantFrom<string | number>(1, 'a') }) }),
      fc.record({ exact: fc.record({ x: fc.constantFrom('a', 'ab') }) }),
    );
    const list = fc.array(leaf, { minLength: 1, maxLength: 4 });
    const filter: fc.Arbitrary<FilterSpec> = fc.oneof(
      leaf,
      list.map((any) => ({ any })),
      list.map((all) => ({ not: { all } })),
    );
    const filters = fc.array(filter, { maxLength: 4 });
    fc.assert(
      fc.property(
        filters,
        text,
        fc.jsonValue({ maxDepth: 3 }),
        fc.nat(400),
        (specs, x, json, max) => {
          const event = eventOf(x, json);
          const run = (budget: Budget) => {
            const errors: string[] = [];
            const onError = (at: string, kind: string) => errors.push(`${at} ${kind}`);
            return { passed: compileWithin(budget, specs, { onError })(event), errors };
          };
          const plenty = new Budget(UNLIMITED);
          const want = run(plenty);
          const few = new Budget(max);
          const got = run(few);
          if (plenty.spentBefore <= max) expect(got).toEqual(want);
          else {
            expect(got.passed).toBe(false);
            expect(got.errors.filter((each) => each.endsWith(' cost'))).toHaveLength(1);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('the size of the filters of a subscription', () => {
  const widest = `x IN (${Array(1000).fill('1').join(',')})`;
  const words = (count: number): FilterSpec[] =>
    Array.from({ length: count }, (_, i) => ({ prefix: { type: String(i).padEnd(4090, 'a') } }));
  const names = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, 'x']));

  it.each<[string, FilterSpec[]]>([
    ['256 filters', Array.from({ length: 256 }, (_, i) => ({ exact: { id: `order-${i}` } }))],
    ['four widest expressions', Array.from({ length: 4 }, () => ({ sql: widest }))],
    ['sixteen longest texts', words(16)],
    ['a thousand attributes', [{ exact: names(1000) }]],
  ])('leaves %s alone', (_, filters) => {
    expect(compileFilters(filters)(eventOf('x'))).toBe(false);
  });

  it.each<[string, FilterSpec[], string, string]>([
    ['parts', sqls("x NOT LIKE '%_a%'", 180, 64), 'filters[11].sql', '4096 parts'],
    ['parts', [{ exact: names(4096) }], 'filters[0].exact.a4095', '4096 parts'],
    ['parts', anyOf(look(`$${'[*]'.repeat(60)}`), 100), 'filters[0].any[67].data', '4096 parts'],
    ['characters', words(17), 'filters[16].prefix.type', '65536 characters'],
    [
      'characters',
      anyOf({ data: { path: '$', equals: 'a'.repeat(4096) } }, 16),
      'filters[0].any[15].data',
      '65536 characters',
    ],
    ['characters', sqls(`x = '${'a'.repeat(4000)}'`, 1, 17), 'filters[16].sql', '65536 characters'],
  ])('refuses too many %s, names the filter and says what to do', (_, filters, field, limit) => {
    const thrown = caught(() => compileFilters(filters));
    expect(thrown.code).toBe('InvalidArgument');
    expect(thrown.details.field).toBe(field);
    expect(thrown.details.limit).toBe(`${limit} in all filters of a subscription`);
    expect(thrown.message).toContain('several subscriptions');
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
