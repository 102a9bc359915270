import { Budget } from '../budget.ts';
import type { SqlNode, SqlValue } from './ast.ts';

/**
 * The error types of CloudEvents SQL 1.0 that an evaluation can end with, and `cost`, which is the
 * mesh's own: the steps that a subscription's filters share are used up.
 */
export type SqlErrorKind =
  | 'math'
  | 'cast'
  | 'missingAttribute'
  | 'missingFunction'
  | 'functionEvaluation'
  | 'generic'
  | 'cost';

/**
 * Where a compiled expression notes its first error. There is one for each expression, written only
 * when an error happens, so that an evaluation allocates nothing.
 */
export class Fault {
  kind: SqlErrorKind = 'generic';
  /** The part of the expression that failed. */
  node: SqlNode | undefined;
  /** What that part is worth all the same, where the language says so. */
  value: SqlValue | undefined;
  /** What the expression may still take, which it may share with others. */
  readonly budget: Budget;
  #detail: SqlValue = '';
  #text = '';

  constructor(budget = new Budget()) {
    this.budget = budget;
  }

  /**
   * Notes an error; returns what stands for "in error" among values.
   *
   * @param text What is wrong, with `$` where `detail` belongs.
   */
  raise(
    kind: SqlErrorKind,
    node: SqlNode,
    text: string,
    detail: SqlValue = '',
    value?: SqlValue,
  ): undefined {
    this.kind = kind;
    this.node = node;
    this.value = value;
    this.#text = text;
    this.#detail = detail;
    return undefined;
  }

  /** Takes the steps for a part of the expression; false, with the error noted, when they are none. */
  spends(steps: number, node: SqlNode): boolean {
    if (this.budget.spend(steps)) return true;
    this.overspent(node);
    return false;
  }

  overspent(node: SqlNode): undefined {
    return this.raise('cost', node, this.budget.message);
  }

  /** For people. Made only when asked for. */
  get message(): string {
    return this.#text.replace('$', () => shown(this.#detail));
  }
}

/** A value as it would be written in an expression, cut to what a message has room for. */
export function shown(value: SqlValue): string {
  if (typeof value === 'string') return JSON.stringify(brief(value));
  return typeof value === 'boolean' ? String(value).toUpperCase() : String(value);
}

const brief = (text: string): string => (text.length > 64 ? `${text.slice(0, 64)}…` : text);
