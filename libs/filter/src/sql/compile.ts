import type { EventView } from '@eventmesh/event';
import type { OrderOperator, SqlNode, SqlType, SqlValue } from './ast.ts';
import { compileCall } from './call.ts';
import { castOrRaise, spendsComparing, toBoolean, toInteger, toText, typeOf } from './casts.ts';
import { readBoolean, readExists, readInteger, readText, readValue } from './attributes.ts';
import type { Fault } from './fault.ts';
import { compileIn } from './in.ts';
import { compileLike } from './like.ts';
import { compileMath } from './math.ts';

/** Evaluates a part of an expression; undefined means in error, which the fault describes. */
export type Run<T extends SqlValue> = (event: EventView) => T | undefined;

/**
 * Turns a tree into closures, each for the type that is wanted of its node, so that values are
 * plain strings, numbers and booleans and are cast only where a type is not known beforehand. The
 * first error ends an evaluation.
 */
export class Compiler {
  readonly #fault: Fault;

  constructor(fault: Fault) {
    this.#fault = fault;
  }

  /** The node's value in the type that it has. */
  value(node: SqlNode): Run<SqlValue> {
    const fault = this.#fault;
    switch (node.kind) {
      case 'literal': {
        const { value } = node;
        return () => value;
      }
      case 'attribute':
        return readValue(node, fault);
      case 'call':
        return compileCall(node, this, fault);
      case 'minus':
      case 'math':
        return this.integer(node);
      default:
        return this.boolean(node);
    }
  }

  text(node: SqlNode): Run<string> {
    if (node.kind === 'attribute') return readText(node, this.#fault);
    if (node.kind === 'literal') return constant(toText(node.value));
    const value = this.value(node);
    if (node.type === 'string') return value as Run<string>;
    return (event) => {
      const found = value(event);
      return found === undefined ? undefined : toText(found);
    };
  }

  integer(node: SqlNode): Run<number> {
    const fault = this.#fault;
    if (node.kind === 'attribute') return readInteger(node, fault);
    if (node.kind === 'math') return compileMath(node, this, fault);
    if (node.kind === 'minus') return this.#minus(node);
    const value = this.value(node);
    if (node.type === 'integer') return value as Run<number>;
    return (event) => {
      const found = value(event);
      if (found === undefined) return undefined;
      return toInteger(found) ?? fault.raise('cast', node, '$ is not an Integer', found);
    };
  }

  boolean(node: SqlNode): Run<boolean> {
    switch (node.kind) {
      case 'attribute':
        return readBoolean(node, this.#fault);
      case 'literal':
      case 'call':
      case 'minus':
      case 'math':
        return this.#castToBoolean(node);
      case 'exists':
        return readExists(node);
      case 'not':
        return this.#not(node);
      case 'and':
      case 'or':
        return this.#logic(node.of, node.kind === 'or');
      case 'xor':
        return this.#xor(node.left, node.right);
      case 'equal':
        return this.#equal(node);
      case 'order':
        return this.#order(node);
      case 'like':
        return this.#like(node);
      case 'in':
        return compileIn(node, this, this.#fault);
    }
  }

  #castToBoolean(node: SqlNode): Run<boolean> {
    const fault = this.#fault;
    const value = this.value(node);
    if (node.type === 'boolean') return value as Run<boolean>;
    return (event) => {
      const found = value(event);
      if (found === undefined) return undefined;
      return toBoolean(found) ?? fault.raise('cast', node, '$ is not a Boolean', found);
    };
  }

  /**
   * An Integer is no operand of NOT (the conformance kit has it so), and NOT of what cannot be cast
   * is the opposite of false, in error.
   */
  #not(node: SqlNode & { kind: 'not' }): Run<boolean> {
    const fault = this.#fault;
    const value = this.value(node.of);
    return (event) => {
      const found = value(event);
      if (found === undefined) return undefined;
      const truth = typeof found === 'number' ? undefined : toBoolean(found);
      if (truth !== undefined) return !truth;
      return fault.raise('cast', node, '$ is not a Boolean', found, true);
    };
  }

  #minus(node: SqlNode & { kind: 'minus' }): Run<number> {
    const fault = this.#fault;
    const of = this.integer(node.of);
    return (event) => {
      const value = of(event);
      if (value === undefined) return undefined;
      // Not -0, which is no integer.
      const minus = 0 - value;
      if (minus === (minus | 0)) return minus;
      return fault.raise('math', node, 'minus $ is no 32-bit integer', value);
    };
  }

  /** AND stops at the first false, OR at the first true. */
  #logic(of: readonly SqlNode[], stopAt: boolean): Run<boolean> {
    const operands = of.map((operand) => this.boolean(operand));
    const [first, second, third] = operands;
    if (first !== undefined && second !== undefined && operands.length === 2) {
      return (event) => {
        const value = first(event);
        return value === undefined || value === stopAt ? value : second(event);
      };
    }
    if (first !== undefined && second !== undefined && third && operands.length === 3) {
      return (event) => {
        let value = first(event);
        if (value === undefined || value === stopAt) return value;
        value = second(event);
        return value === undefined || value === stopAt ? value : third(event);
      };
    }
    return (event) => {
      for (const operand of operands) {
        const value = operand(event);
        if (value === undefined || value === stopAt) return value;
      }
      return !stopAt;
    };
  }

  #xor(leftNode: SqlNode, rightNode: SqlNode): Run<boolean> {
    const left = this.boolean(leftNode);
    const right = this.boolean(rightNode);
    return (event) => {
      const x = left(event);
      if (x === undefined) return undefined;
      const y = right(event);
      return y === undefined ? undefined : x !== y;
    };
  }

  /** The right side's type decides: the left side is cast to it. */
  #equal(node: SqlNode & { kind: 'equal' }): Run<boolean> {
    const { left, right, negated } = node;
    if (right.kind === 'literal') {
      return equalsConstant(this.cast(left, typeOf(right.value)), right.value, negated);
    }
    const x = this.value(left);
    const y = this.value(right);
    return (event) => {
      const a = x(event);
      if (a === undefined) return undefined;
      const b = y(event);
      if (b === undefined || !spendsComparing(b, node, this.#fault)) return undefined;
      const cast = castOrRaise(a, typeOf(b), left, this.#fault);
      return cast === undefined ? undefined : (cast === b) !== negated;
    };
  }

  cast(node: SqlNode, type: SqlType): Run<SqlValue> {
    if (type === 'string') return this.text(node);
    return type === 'integer' ? this.integer(node) : this.boolean(node);
  }

  #order(node: SqlNode & { kind: 'order' }): Run<boolean> {
    const x = this.integer(node.left);
    const y = this.integer(node.right);
    const compare = ORDERS[node.operator];
    return (event) => {
      const a = x(event);
      if (a === undefined) return undefined;
      const b = y(event);
      return b === undefined ? undefined : compare(a, b);
    };
  }

  #like(node: SqlNode & { kind: 'like' }): Run<boolean> {
    const { of, pattern, negated } = node;
    const fault = this.#fault;
    const text = this.text(of);
    const matches = compileLike(pattern, fault.budget);
    return (event) => {
      const value = text(event);
      if (value === undefined) return undefined;
      const matched = matches(value);
      return matched === undefined ? fault.overspent(node) : matched !== negated;
    };
  }
}

const constant =
  <T extends SqlValue>(value: T): Run<T> =>
  () =>
    value;

const ORDERS: Readonly<Record<OrderOperator, (x: number, y: number) => boolean>> = {
  '<': (x, y) => x < y,
  '<=': (x, y) => x <= y,
  '>': (x, y) => x > y,
  '>=': (x, y) => x >= y,
};

function equalsConstant(x: Run<SqlValue>, want: SqlValue, negated: boolean): Run<boolean> {
  return (event) => {
    const value = x(event);
    return value === undefined ? undefined : (value === want) !== negated;
  };
}
