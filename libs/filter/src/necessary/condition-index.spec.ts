import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventView, encodeEvent, type AttributeValue } from '@eventmesh/event';
import { ConditionIndex, compileFilters, necessaryConditions, type FilterSpec } from '../index.ts';

type Attributes = Readonly<Record<string, string | number | boolean>>;

const REQUIRED = ['id', 'source', 'type'];

function eventOf(given: Attributes): EventView {
  const { id = '1', source = '/s', type = 't' } = given;
  const attributes = Object.entries(given)
    .filter(([name]) => !REQUIRED.includes(name))
    .map(([name, value]): [string, AttributeValue] => [name, attributeOf(value)]);
  return new EventView(
    encodeEvent({ id: String(id), source: String(source), type: String(type), attributes }),
  );
}

function attributeOf(value: string | number | boolean): AttributeValue {
  if (typeof value === 'string') return { kind: 'string', value };
  return typeof value === 'number' ? { kind: 'integer', value } : { kind: 'boolean', value };
}

const name = fc.constantFrom('type', 'source', 'a', 'b', 'c');
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '😀'), minLength: 1, maxLength: 4 }),
  fc.constantFrom('1', '01', '-7', 'true', 'TRUE', 'false', 'a'.repeat(70), 'b'.repeat(70)),
);
const value = fc.oneof(
  { weight: 8, arbitrary: text },
  { weight: 2, arbitrary: fc.constantFrom(1, -7, 0) },
  { weight: 2, arbitrary: fc.boolean() },
  // More than an expression reads.
  { weight: 1, arbitrary: fc.constantFrom('a'.repeat(16_385)) },
);
const events = fc.array(fc.dictionary(name, value, { maxKeys: 5 }).map(eventOf), {
  minLength: 1,
  maxLength: 6,
});

const quoted = (given: string): string => `'${given}'`;
const like = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '\\%', '😀'), maxLength: 5 });
const constant = fc.oneof(text.map(quoted), fc.constantFrom('1', '-7', '0', 'TRUE', 'FALSE'));

const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.tuple(name, constant).map(([a, c]) => `${a} = ${c}`),
    fc
      .tuple(name, fc.constantFrom('=', '!=', '<', '>='), fc.oneof(name, constant))
      .map(([a, operator, b]) => `${a} ${operator} ${b}`),
    fc.tuple(constant, name).map(([c, a]) => `${c} = ${a}`),
    fc
      .tuple(name, fc.constantFrom('', 'NOT '), like)
      .map(([a, not, p]) => `${a} ${not}LIKE ${quoted(p)}`),
    fc
      .tuple(name, fc.constantFrom('', 'NOT '), fc.array(constant, { minLength: 1, maxLength: 3 }))
      .map(([a, not, set]) => `${a} ${not}IN (${set.join(', ')})`),
    name.map((a) => `EXISTS ${a}`),
    name.map((a) => `(LENGTH(${a}) > 1)`),
    name.map((a) => `(${a} AND TRUE)`),
    fc.constantFrom('TRUE', 'FALSE'),
    tie('expression').map((inner) => `NOT (${inner})`),
    fc
      .tuple(tie('expression'), fc.constantFrom('AND', 'AND', 'OR', 'XOR', '='), tie('expression'))
      .map(([x, operator, y]) => `(${x}) ${operator} (${y})`),
  ),
}));

const wanted = fc.dictionary(name, text, { minKeys: 1, maxKeys: 2 });
const { filter } = fc.letrec<{ filter: FilterSpec }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    expression.map((sql) => ({ sql })),
    wanted.map((exact) => ({ exact })),
    wanted.map((prefix) => ({ prefix })),
    wanted.map((suffix) => ({ suffix })),
    fc.constant({ data: { path: '$.a', exists: true as const } }),
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
    tie('filter').map((not) => ({ not })),
  ),
}));
const filters = fc.array(filter, { maxLength: 3 });

/** A subscription that counts its errors, as a running one does. */
class Asked {
  errors = 0;
  readonly conditions;
  readonly matches;

  constructor(given: readonly FilterSpec[]) {
    this.conditions = necessaryConditions(given);
    this.matches = compileFilters(given, { onError: () => this.errors++ });
  }
}

/** Who matches, and how many errors each came to by it. */
function ask(those: Iterable<Asked>, event: EventView): Map<Asked, string> {
  const answers = new Map<Asked, string>();
  for (const each of those) {
    const before = each.errors;
    const matches = each.matches(event);
    const errors = each.errors - before;
    if (matches || errors > 0) answers.set(each, `${matches} with ${errors} errors`);
  }
  return answers;
}

describe('an index over filters', () => {
  it('finds, asked or not, what asking every filter finds, and the same errors', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ add: filters }) },
      { weight: 1, arbitrary: fc.record({ remove: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ look: events }) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 60 }), events, (steps, last) => {
        const index = new ConditionIndex<Asked>();
        const there: Asked[] = [];
        for (const given of [...steps, { look: last }]) {
          if ('add' in given) {
            const one = new Asked(given.add);
            there.push(one);
            expect(index.add(one, one.conditions)).toBe(true);
          } else if ('remove' in given) {
            const [one] = there.splice(given.remove % Math.max(1, there.length), 1);
            if (one !== undefined) expect(index.remove(one)).toBe(true);
          } else {
            for (const event of given.look) {
              const found = new Set<Asked>();
              index.match(event, found);
              expect(ask(found, event)).toEqual(ask(there, event));
            }
          }
        }
        expect(index.size).toBe(there.length);
      }),
      { numRuns: 300 },
    );
  });

  it('rules out what any single filter is false for, whatever it looks like', () => {
    fc.assert(
      fc.property(filters, events, (given, looked) => {
        const one = new Asked(given);
        const index = new ConditionIndex<Asked>();
        index.add(one, one.conditions);
        for (let i = 0; i < 10; i++) {
          const other = new Asked([{ exact: { type: `nothing ${i}` } }]);
          index.add(other, other.conditions);
        }
        for (const event of looked) {
          const found = new Set<Asked>();
          index.match(event, found);
          expect(ask(found, event)).toEqual(ask([one], event));
          expect(found.size).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 3000 },
    );
  });

  const found = (index: ConditionIndex<number>, given: Attributes): number[] => {
    const set = new Set<number>();
    index.match(eventOf(given), set);
    return [...set].sort((a, b) => a - b);
  };
  const indexOf = (of: (i: number) => FilterSpec[], count: number): ConditionIndex<number> => {
    const index = new ConditionIndex<number>();
    for (let i = 0; i < count; i++) index.add(i, necessaryConditions(of(i)));
    return index;
  };

  it('goes by the condition that fewest share, whatever its place', () => {
    const index = indexOf(
      (i) => [{ exact: { region: 'eu' } }, { prefix: { source: `/store/${i}/` } }],
      1000,
    );
    // The first few lie under what all of them share.
    expect(found(index, { source: '/store/700/x', region: 'eu' }).length).toBeLessThan(10);
    expect(found(index, { source: '/store/700/x', region: 'us' })).toEqual([700]);
  });

  it.each<[string, (i: number) => FilterSpec[], Attributes, number[]]>([
    ['exact', (i) => [{ exact: { type: `t${i}` } }], { type: 't5' }, [5]],
    ['prefix', (i) => [{ prefix: { type: `t${i}.` } }], { type: 't5.x' }, [5]],
    [
      'prefixes that lie in each other',
      (i) => [{ prefix: { type: 'x'.repeat(i + 1) } }],
      { type: 'xxx' },
      [0, 1, 2],
    ],
    ['suffix', (i) => [{ suffix: { type: `.t${i}` } }], { type: 'x.t5' }, [5]],
    [
      'any',
      (i) => [{ any: [{ exact: { type: `t${i}` } }, { exact: { id: `${i}` } }] }],
      { type: 't5', id: '7' },
      [5, 7],
    ],
    ['sql', (i) => [{ sql: `region = 'r${i}' AND priority > 5` }], { region: 'r5' }, [5]],
    [
      'sql on an attribute that is absent',
      (i) => [{ sql: `region = 'r${i}'` }],
      {},
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ],
    [
      'sql that asks for the attribute first',
      (i) => [{ sql: `EXISTS region AND region = 'r${i}'` }],
      {},
      [],
    ],
  ])('leaves out what it can: %s', (_, of, event, expected) => {
    expect(found(indexOf(of, 12), event)).toEqual(expected);
  });

  it('asks all of a few, and all that say nothing beforehand', () => {
    const few = indexOf((i) => [{ exact: { type: `t${i}` } }], 3);
    expect([few.selective, found(few, { type: 'x' })]).toEqual([false, [0, 1, 2]]);
    const silent = indexOf((i) => [{ not: { exact: { type: `t${i}` } } }], 12);
    expect([silent.selective, found(silent, { type: 't5' }).length]).toEqual([true, 12]);
  });

  it('holds a value once, and nothing of one that has left', () => {
    const index = indexOf((i) => [{ exact: { type: `t${i}` } }], 20);
    expect(index.add(3, [])).toBe(false);
    expect(found(index, { type: 't3' })).toEqual([3]);
    expect([index.remove(3), index.remove(3), index.size]).toEqual([true, false, 19]);
    expect(found(index, { type: 't3' })).toEqual([]);
    for (let i = 0; i < 20; i++) index.remove(i);
    expect([index.size, index.selective]).toEqual([0, false]);
  });

  it('keeps the others that ask for the same', () => {
    const index = indexOf(() => [{ exact: { type: 't' } }], 12);
    for (const gone of [3, 11, 0]) index.remove(gone);
    expect(found(index, { type: 't' })).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('has all asked about an event that cannot be read', () => {
    const index = indexOf((i) => [{ exact: { region: `r${i}` } }], 12);
    // An attribute without a value, which no event that was checked can have.
    const set = new Set<number>();
    index.match(new EventView(Buffer.from([0x2a, 0x03, 0x0a, 0x01, 0x61])), set);
    expect(set.size).toBe(12);
  });

  it('looks at a bounded number of attributes', () => {
    const index = indexOf((i) => [{ exact: { [`a${i}`]: 'x' } }], 100);
    // The first 64 are looked up; the others are asked.
    expect(found(index, { a5: 'x' })).toEqual([5, ...Array.from({ length: 36 }, (_, i) => 64 + i)]);
  });
});
