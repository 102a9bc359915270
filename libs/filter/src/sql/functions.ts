import type { SqlNode, SqlType, SqlValue } from './ast.ts';
import { toBoolean, toInteger, toText } from './casts.ts';
import type { Fault } from './fault.ts';
import { lengthOf, slice, trim } from './text.ts';

/** Longest string, in UTF-16 units, that an expression reads or makes; a longer one is an error. */
export const SQL_TEXT_MAX = 16_384;

/** A function of the language. Arguments come cast to `takes`; undefined is an error, noted. */
export interface SqlFunction {
  /** Types of the parameters; `rest` is that of any number more. */
  readonly takes: readonly (SqlType | 'any')[];
  readonly rest?: SqlType;
  readonly returns: SqlType;
  readonly run: (args: readonly SqlValue[], node: SqlNode, fault: Fault) => SqlValue | undefined;
}

/** The function of this name that takes so many arguments. */
export function functionOf(name: string, arity: number): SqlFunction | undefined {
  return FUNCTIONS.get(name)?.find(
    ({ takes, rest }) => arity === takes.length || (rest !== undefined && arity > takes.length),
  );
}

export const returnTypeOf = (name: string, arity: number): SqlType | undefined =>
  functionOf(name, arity)?.returns;

/** Names of all functions, for messages. */
export const functionNames = (): readonly string[] => [...FUNCTIONS.keys()];

type Overloads = readonly SqlFunction[];

const FUNCTIONS: ReadonlyMap<string, Overloads> = new Map<string, Overloads>([
  ['LENGTH', [{ takes: ['string'], returns: 'integer', run: ([x]) => lengthOf(text(x)) }]],
  [
    'CONCAT',
    [
      {
        takes: [],
        rest: 'string',
        returns: 'string',
        run: (args, node, fault) => join(args, '', node, fault),
      },
    ],
  ],
  [
    'CONCAT_WS',
    [
      {
        takes: ['string'],
        rest: 'string',
        returns: 'string',
        run: ([between, ...args], node, fault) => join(args, text(between), node, fault),
      },
    ],
  ],
  ['LOWER', [{ takes: ['string'], returns: 'string', run: ([x]) => text(x).toLowerCase() }]],
  ['UPPER', [{ takes: ['string'], returns: 'string', run: ([x]) => text(x).toUpperCase() }]],
  ['TRIM', [{ takes: ['string'], returns: 'string', run: ([x]) => trim(text(x)) }]],
  ['LEFT', [{ takes: ['string', 'integer'], returns: 'string', run: left }]],
  ['RIGHT', [{ takes: ['string', 'integer'], returns: 'string', run: right }]],
  [
    'SUBSTRING',
    [
      { takes: ['string', 'integer'], returns: 'string', run: substring },
      { takes: ['string', 'integer', 'integer'], returns: 'string', run: substring },
    ],
  ],
  ['ABS', [{ takes: ['integer'], returns: 'integer', run: abs }]],
  ['INT', [{ takes: ['any'], returns: 'integer', run: castingBy(toInteger, 'an Integer') }]],
  ['BOOL', [{ takes: ['any'], returns: 'boolean', run: castingBy(toBoolean, 'a Boolean') }]],
  ['STRING', [{ takes: ['any'], returns: 'string', run: ([x = '']) => toText(x) }]],
]);

// Arguments come cast, so these only tell the compiler.
const text = (value: SqlValue | undefined): string => value as string;
const integer = (value: SqlValue | undefined): number => value as number;

function join(
  args: readonly SqlValue[],
  between: string,
  node: SqlNode,
  fault: Fault,
): string | undefined {
  let length = 0;
  for (const arg of args) length += text(arg).length + between.length;
  if (length > SQL_TEXT_MAX) {
    const message = `the result would be longer than ${SQL_TEXT_MAX} characters`;
    return fault.raise('functionEvaluation', node, message);
  }
  return args.join(between);
}

type Run = SqlFunction['run'];

function left(...[[x, count], node, fault]: Parameters<Run>): ReturnType<Run> {
  return integer(count) < 0 ? negative(node, fault, count, x) : slice(text(x), 0, integer(count));
}

function right(...[[x, count], node, fault]: Parameters<Run>): ReturnType<Run> {
  if (integer(count) < 0) return negative(node, fault, count, x);
  const length = lengthOf(text(x));
  return slice(text(x), Math.max(0, length - integer(count)), length);
}

function negative(node: SqlNode, fault: Fault, count: SqlValue = 0, value?: SqlValue): undefined {
  return fault.raise('functionEvaluation', node, 'the count $ is negative', count, value);
}

function substring(...[[x, position, count], node, fault]: Parameters<Run>): ReturnType<Run> {
  const length = lengthOf(text(x));
  const from = integer(position);
  if (from > length || from < -length) {
    const message = 'the position $ is outside of the string';
    return fault.raise('functionEvaluation', node, message, from);
  }
  if (count !== undefined && integer(count) < 0) return negative(node, fault, count);
  if (from === 0) return '';
  const start = from > 0 ? from - 1 : length + from;
  return slice(text(x), start, count === undefined ? length : start + integer(count));
}

function abs(...[[x], node, fault]: Parameters<Run>): ReturnType<Run> {
  const value = Math.abs(integer(x));
  if (value === (value | 0)) return value;
  return fault.raise('math', node, 'ABS of $ is no 32-bit integer', x, 0x7fff_ffff);
}

function castingBy(cast: (value: SqlValue) => SqlValue | undefined, what: string): Run {
  return ([x = ''], node, fault) => cast(x) ?? fault.raise('cast', node, `$ is not ${what}`, x);
}
