import type { SqlNode, SqlType, SqlValue } from './ast.ts';
import type { Fault } from './fault.ts';

/** The casts of CloudEvents SQL 1.0; undefined where the value cannot be of that type. */
export function toText(value: SqlValue): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : value ? 'true' : 'false';
}

export function toInteger(value: SqlValue): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? integerOf(value) : value ? 1 : 0;
}

export function toBoolean(value: SqlValue): boolean | undefined {
  if (typeof value === 'boolean') return value;
  return typeof value === 'string' ? booleanOf(value) : value !== 0;
}

/** A value of this node in another type; what cannot be cast is noted as an error. */
export function castOrRaise(
  value: SqlValue,
  type: SqlType,
  node: SqlNode,
  fault: Fault,
): SqlValue | undefined {
  const cast = castTo(value, type);
  if (cast !== undefined) return cast;
  const message = type === 'integer' ? '$ is not an Integer' : '$ is not a Boolean';
  return fault.raise('cast', node, message, value);
}

function castTo(value: SqlValue, type: SqlType): SqlValue | undefined {
  if (type === 'string') return toText(value);
  return type === 'integer' ? toInteger(value) : toBoolean(value);
}

/** Takes a step for each four characters of a text that something is compared with. */
export function spendsComparing(value: SqlValue, node: SqlNode, fault: Fault): boolean {
  return typeof value !== 'string' || fault.spends(value.length >> 2, node);
}

export function typeOf(value: SqlValue): SqlType {
  if (typeof value === 'string') return 'string';
  return typeof value === 'number' ? 'integer' : 'boolean';
}

const ZERO = 48;
const DIGITS_MAX = 32;

/** A 32-bit integer in base 10 with an optional sign. By hand: this is on the hot path. */
function integerOf(text: string): number | undefined {
  const first = text.charCodeAt(0);
  const signed = first === 0x2d || first === 0x2b;
  let at = signed ? 1 : 0;
  if (at === text.length || text.length > DIGITS_MAX) return undefined;
  let value = 0;
  for (; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (first === 0x2d) value = -value;
  return value === (value | 0) ? value | 0 : undefined;
}

function booleanOf(text: string): boolean | undefined {
  if (text === 'true') return true;
  if (text === 'false') return false;
  // Anything longer cannot be one of the two, and is not worth lowering.
  if (text.length > 5) return undefined;
  const lower = text.toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}
