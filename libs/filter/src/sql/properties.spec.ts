import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventView, encodeEvent, type AttributeValue } from '@eventmesh/event';
import { Budget } from '../budget.ts';
import { compileLike } from './like.ts';
import { SqlExpression } from './sql.ts';
import { SqlSyntaxError } from './syntax-error.ts';

type Value = string | number | boolean;

/** An expression as it is written out, every part in brackets. */
type Tree =
  | { is: 'literal'; value: Value }
  | { is: 'attribute' | 'exists'; name: string }
  | { is: 'unary'; operator: 'NOT' | '-'; of: Tree }
  | { is: 'binary'; operator: string; left: Tree; right: Tree }
  | { is: 'like'; not: boolean; of: Tree; pattern: string }
  | { is: 'in'; not: boolean; of: Tree; set: Tree[] }
  | { is: 'call'; name: string; args: Tree[] };

const quoted = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;

function written(tree: Tree): string {
  switch (tree.is) {
    case 'literal':
      if (typeof tree.value === 'string') return quoted(tree.value);
      return String(tree.value);
    case 'attribute':
      return tree.name;
    case 'exists':
      return `EXISTS ${tree.name}`;
    case 'unary':
      return `${tree.operator} (${written(tree.of)})`;
    case 'binary':
      return `(${written(tree.left)}) ${tree.operator} (${written(tree.right)})`;
    case 'like':
      return `(${written(tree.of)}) ${tree.not ? 'NOT ' : ''}LIKE ${quoted(tree.pattern)}`;
    case 'in':
      return `(${written(tree.of)}) ${tree.not ? 'NOT ' : ''}IN (${tree.set.map(written).join(', ')})`;
    case 'call':
      return `${tree.name}(${tree.args.map(written).join(', ')})`;
  }
}

/** The plainest evaluator there can be: walks the tree and throws at the first error. */
class Failure extends Error {
  readonly kind: string;
  readonly tree: Tree | undefined;
  readonly value: Value | undefined;
  constructor(kind: string, tree?: Tree, value?: Value) {
    super(kind);
    this.kind = kind;
    this.tree = tree;
    this.value = value;
  }
}

/** Functions, and a letter for each parameter: text, integer, or any. */
const CALLS: [string, string][] = [
  ['LENGTH', 't'],
  ['CONCAT', ''],
  ['CONCAT', 'ttt'],
  ['CONCAT_WS', 'ttt'],
  ['UPPER', 't'],
  ['LOWER', 't'],
  ['LEFT', 'ti'],
  ['RIGHT', 'ti'],
  ['SUBSTRING', 'ti'],
  ['SUBSTRING', 'tii'],
  ['ABS', 'i'],
  ['INT', 'a'],
  ['BOOL', 'a'],
  ['STRING', 'a'],
  ['NOPE', ''],
];

type Attributes = Readonly<Record<string, Value>>;

function naive(tree: Tree, event: Attributes): { value: Value; error: string | undefined } {
  try {
    return { value: walk(tree, event), error: undefined };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const own = error.tree === tree ? error.value : undefined;
    return { value: own ?? ZERO[typeName(tree)], error: error.kind };
  }
}

const ZERO = { string: '', integer: 0, boolean: false } as const;

function typeName(tree: Tree): keyof typeof ZERO {
  if (tree.is === 'unary') return tree.operator === '-' ? 'integer' : 'boolean';
  if (tree.is === 'binary') return '+-*/%'.includes(tree.operator) ? 'integer' : 'boolean';
  if (tree.is !== 'call') return 'boolean';
  if (['LENGTH', 'ABS', 'INT'].includes(tree.name)) return 'integer';
  return ['BOOL', 'NOPE'].includes(tree.name) ? 'boolean' : 'string';
}

function int(value: Value): number {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'number') return value;
  if (
    !/^[+-]?\d+$/.test(value) ||
    BigInt(value.replace('+', '')) !== BigInt.asIntN(32, BigInt(value.replace('+', '')))
  ) {
    throw new Failure('cast');
  }
  return Number(value);
}

function bool(value: Value): boolean {
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'boolean') return value;
  const lower = value.toLowerCase();
  if (lower !== 'true' && lower !== 'false') throw new Failure('cast');
  return lower === 'true';
}

const alike = (value: Value, other: Value): Value =>
  typeof other === 'string' ? String(value) : typeof other === 'number' ? int(value) : bool(value);

function walk(tree: Tree, event: Attributes): Value {
  const at = (inner: Tree): Value => walk(inner, event);
  switch (tree.is) {
    case 'literal':
      return tree.value;
    case 'attribute': {
      const value = Object.hasOwn(event, tree.name) ? event[tree.name] : undefined;
      if (value === undefined) throw new Failure('missingAttribute');
      return value;
    }
    case 'exists':
      return Object.hasOwn(event, tree.name);
    case 'unary': {
      const value = at(tree.of);
      if (tree.operator === '-') return fitting(-BigInt(int(value)));
      if (typeof value === 'number') throw new Failure('cast', tree, true);
      if (typeof value === 'string' && !/^(true|false)$/i.test(value)) {
        throw new Failure('cast', tree, true);
      }
      return !bool(value);
    }
    case 'binary':
      return binary(
        tree.operator,
        () => at(tree.left),
        () => at(tree.right),
      );
    case 'like':
      return naiveLike(Array.from(String(at(tree.of))), Array.from(tree.pattern)) !== tree.not;
    case 'in': {
      const value = at(tree.of);
      for (const item of tree.set) if (alike(at(item), value) === value) return !tree.not;
      return tree.not;
    }
    case 'call':
      return call(
        tree,
        tree.name,
        tree.args.map((arg, i) => argument(tree, i, at(arg))),
      );
  }
}

function fitting(value: bigint): number {
  if (value !== BigInt.asIntN(32, value)) throw new Failure('math');
  return Number(value);
}

function binary(operator: string, left: () => Value, right: () => Value): Value {
  if (operator === 'AND') return bool(left()) && bool(right());
  if (operator === 'OR') return bool(left()) || bool(right());
  if (operator === 'XOR') return bool(left()) !== bool(right());
  if (operator === '=') return same(left(), right());
  if (operator === '!=' || operator === '<>') return !same(left(), right());
  const x = int(left());
  const y = int(right());
  switch (operator) {
    case '<':
      return x < y;
    case '<=':
      return x <= y;
    case '>':
      return x > y;
    case '>=':
      return x >= y;
    case '+':
      return fitting(BigInt(x) + BigInt(y));
    case '-':
      return fitting(BigInt(x) - BigInt(y));
    case '*':
      return fitting(BigInt(x) * BigInt(y));
  }
  if (y === 0) throw new Failure('math');
  return fitting(operator === '/' ? BigInt(x) / BigInt(y) : BigInt(x) % BigInt(y));
}

const same = (x: Value, y: Value): boolean => alike(x, y) === y;

function argument(tree: Tree & { is: 'call' }, place: number, value: Value): Value {
  const known = CALLS.find(
    ([name, takes]) => name === tree.name && takes.length === tree.args.length,
  );
  const takes = known?.[1][place];
  return takes === 't' ? String(value) : takes === 'i' ? int(value) : value;
}

function call(tree: Tree, name: string, args: Value[]): Value {
  const [x = '', y = 0, z] = args;
  const text = Array.from(String(x));
  switch (name) {
    case 'LENGTH':
      return text.length;
    case 'CONCAT':
      return args.map(String).join('');
    case 'CONCAT_WS':
      return args.slice(1).map(String).join(String(x));
    case 'UPPER':
      return String(x).toUpperCase();
    case 'LOWER':
      return String(x).toLowerCase();
    case 'LEFT':
    case 'RIGHT': {
      const count = int(y);
      if (count < 0) throw new Failure('functionEvaluation', tree, String(x));
      return (
        name === 'LEFT' ? text.slice(0, count) : text.slice(Math.max(0, text.length - count))
      ).join('');
    }
    case 'SUBSTRING': {
      const from = int(y);
      const count = z === undefined ? text.length : int(z);
      if (Math.abs(from) > text.length || count < 0) throw new Failure('functionEvaluation');
      if (from === 0) return '';
      const start = from > 0 ? from - 1 : text.length + from;
      return text.slice(start, start + count).join('');
    }
    case 'ABS': {
      const value = int(x);
      if (value === -2147483648) throw new Failure('math', tree, 2147483647);
      return Math.abs(value);
    }
    case 'INT':
      return int(x);
    case 'BOOL':
      return bool(x);
    case 'STRING':
      return String(x);
  }
  throw new Failure('missingFunction');
}

/** By a table of what matches what, as the textbook has it. */
function naiveLike(text: string[], pattern: string[]): boolean {
  const tokens: (string | { any: 'one' | 'many' })[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const [char = '', next = ''] = [pattern[i], pattern[i + 1]];
    if (char === '\\' && (next === '%' || next === '_')) tokens.push(pattern[++i] ?? '');
    else tokens.push(char === '%' ? { any: 'many' } : char === '_' ? { any: 'one' } : char);
  }
  let reached = new Set([0]);
  for (const token of tokens) {
    const after = new Set<number>();
    for (const place of reached) {
      if (typeof token !== 'string' && token.any === 'many') {
        for (let to = place; to <= text.length; to++) after.add(to);
      } else if (place < text.length && (typeof token !== 'string' || token === text[place])) {
        after.add(place + 1);
      }
    }
    reached = after;
  }
  return reached.has(text.length);
}

const word = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'ab',
    'aab',
    '😀',
    'TRUE',
    'false',
    '1',
    '-7',
    '+007',
    '2147483648',
    'é',
  ),
  fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '😀'), maxLength: 8 }),
);
const pattern = fc.string({
  unit: fc.constantFrom('a', 'b', '%', '_', '\\%', '\\_', '😀'),
  maxLength: 9,
});
const integer = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, -2147483648, 2147483647),
  fc.integer({ min: -100, max: 100 }),
);
const scalar: fc.Arbitrary<Value> = fc.oneof(word, integer, fc.boolean());
const name = fc.constantFrom('a', 'b', 'c', 'd', 'nowhere');
const BINARY = ['AND', 'OR', 'XOR', '=', '!=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '%'];

const { tree } = fc.letrec<{ tree: Tree; leaf: Tree }>((tie) => ({
  leaf: fc.oneof(
    fc.record({ is: fc.constant('literal' as const), value: scalar }),
    fc.record({ is: fc.constantFrom('attribute' as const, 'exists' as const), name }),
  ),
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.record({
      is: fc.constant('unary' as const),
      operator: fc.constantFrom('NOT' as const, '-' as const),
      of: tie('tree'),
    }),
    fc.record({
      is: fc.constant('binary' as const),
      operator: fc.constantFrom(...BINARY),
      left: tie('tree'),
      right: tie('tree'),
    }),
    fc.record({ is: fc.constant('like' as const), not: fc.boolean(), of: tie('tree'), pattern }),
    fc.record({
      is: fc.constant('in' as const),
      not: fc.boolean(),
      of: tie('tree'),
      set: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
    }),
    fc.constantFrom(...CALLS).chain(([called, { length }]) =>
      fc.record({
        is: fc.constant('call' as const),
        name: fc.constant(called),
        args: fc.array(tie('tree'), { minLength: length, maxLength: length }),
      }),
    ),
  ),
}));

const attributes = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), scalar, { maxKeys: 4 });

function viewOf(given: Attributes): EventView {
  const typed = Object.entries(given).map(([key, value]): [string, AttributeValue] => [
    key,
    typeof value === 'string'
      ? { kind: 'string', value }
      : typeof value === 'number'
        ? { kind: 'integer', value }
        : { kind: 'boolean', value },
  ]);
  return new EventView(encodeEvent({ id: '1', source: 's', type: 't', attributes: typed }));
}

describe('any expression', () => {
  it('gives what a plain walk over its tree gives, and the same as a filter', () => {
    fc.assert(
      fc.property(tree, attributes, (expression, given) => {
        const text = written(expression);
        fc.pre(text.length <= 4096);
        const compiled = new SqlExpression(text);
        const event = viewOf(given);
        const got = compiled.evaluate(event);
        const want = naive(expression, given);
        expect({ value: got.value, error: got.error?.kind }).toEqual(want);
        const passes =
          want.error === undefined && typeof want.value === 'boolean' ? want.value : undefined;
        expect(compiled.test(event)).toBe(passes);
      }),
      { numRuns: 3000 },
    );
  });

  it('with fewer steps gives the same, or is in error for what it costs', () => {
    const steps = fc.oneof(fc.nat(20), fc.nat(300));
    fc.assert(
      fc.property(tree, attributes, steps, (expression, given, max) => {
        const text = written(expression);
        fc.pre(text.length <= 4096);
        const event = viewOf(given);
        const all = new SqlExpression(text);
        const want = all.test(event);
        const { spent } = all.fault.budget;
        const few = new SqlExpression(text, new Budget(max));
        const got = few.test(event);
        if (max >= spent) {
          expect(got).toBe(want);
          expect(few.fault.budget.overspent).toBe(false);
        } else {
          expect({ got, kind: few.fault.kind }).toEqual({ got: undefined, kind: 'cost' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('of any tokens is evaluated or refused with a place, and nothing else is thrown', () => {
    const token = fc.constantFrom(
      ...['a', 'id', '(', ')', ',', "'x'", '"y"', '1', '-', '+', 'NOT', 'LIKE', 'IN', 'EXISTS'],
      ...BINARY,
      ...['LENGTH', 'CONCAT', 'SUBSTRING', 'TRUE', '_', '\\', "'", '😀', '2147483648'],
    );
    const event = viewOf({ a: '1' });
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 24 }),
        fc.constantFrom('', ' '),
        (parts, between) => {
          const text = parts.join(between);
          try {
            new SqlExpression(text).evaluate(event);
          } catch (error) {
            expect(error).toBeInstanceOf(SqlSyntaxError);
            expect((error as SqlSyntaxError).at).toBeLessThanOrEqual(text.length);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('LIKE', () => {
  it('matches what the table of the textbook matches', () => {
    fc.assert(
      fc.property(word, pattern, (text, like) => {
        expect(compileLike(like, new Budget())(text)).toBe(
          naiveLike(Array.from(text), Array.from(like)),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it('does so with parts longer than a machine word', () => {
    const unit = fc.constantFrom('a', 'a', 'b');
    const long = fc.string({ unit, minLength: 70, maxLength: 140 });
    const change = fc.record({ at: fc.nat(139), to: fc.constantFrom('_', '_', '_', 'a', 'b') });
    const cut = fc.record({ from: fc.nat(40), length: fc.integer({ min: 30, max: 100 }) });
    fc.assert(
      fc.property(
        long,
        cut,
        fc.array(change, { maxLength: 8 }),
        (text, { from, length }, changes) => {
          const part = Array.from(text.slice(from, from + length));
          for (const { at, to } of changes) part[at % part.length] = to;
          for (const like of [`%${part.join('')}%`, `%_${part.join('')}%b%`]) {
            expect(compileLike(like, new Budget())(text)).toBe(
              naiveLike(Array.from(text), Array.from(like)),
            );
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['many %', `${'%a'.repeat(2000)}%b`],
    ['a long part', `%${'a'.repeat(4000)}b%`],
    ['a long part with _', `%${'a_'.repeat(2000)}b%`],
    ['_ and %', `${'_%'.repeat(2000)}b`],
  ])('does not go back in the text: %s', (_, like) => {
    const matches = compileLike(like, new Budget());
    const text = 'a'.repeat(16_384);
    // A matcher that goes back needs hours for these; the test's time limit is the bound.
    expect(matches(text)).toBe(false);
  });
});
