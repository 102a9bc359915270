import type { EventView } from '@eventmesh/event';
import { Budget } from '../budget.ts';
import { zeroOf, type SqlNode, type SqlValue } from './ast.ts';
import { Compiler, type Run } from './compile.ts';
import { Fault, type SqlErrorKind } from './fault.ts';
import { fold } from './fold.ts';
import { parseSql } from './parser.ts';

/** What an evaluation gives: a value in any case, and the error it ended with, if any. */
export interface SqlResult {
  readonly value: SqlValue;
  readonly error?: { readonly kind: SqlErrorKind; readonly message: string };
}

/** A compiled CloudEvents SQL 1.0 expression. Evaluating it never throws on a checked event. */
export class SqlExpression {
  readonly text: string;
  readonly root: SqlNode;
  /** What is evaluated: the root without what does not depend on the event. */
  readonly folded: SqlNode;
  /** The last error of `test`; of use right after it gave undefined. */
  readonly fault: Fault;
  /**
   * Evaluates the expression as a filter: undefined when it is in error or not a Boolean. Takes from
   * the budget, which is the caller's to refill.
   */
  readonly test: Run<boolean>;
  #value: Run<SqlValue> | undefined;

  /** @throws SqlSyntaxError when the text is not an expression or crosses a limit. */
  constructor(text: string, budget = new Budget()) {
    this.text = text;
    this.fault = new Fault(budget);
    this.root = parseSql(text);
    this.folded = fold(this.root);
    const compiler = new Compiler(this.fault);
    this.test =
      this.root.type === 'boolean' ? compiler.boolean(this.folded) : this.#onlyBoolean(compiler);
  }

  /** Evaluates the expression to a value of any type, with all of its budget. */
  evaluate(event: EventView): SqlResult {
    const { fault, root } = this;
    this.#value ??= new Compiler(fault).value(this.folded);
    fault.budget.refill();
    const value = this.#value(event);
    if (value !== undefined) return { value };
    const { kind, message } = fault;
    const own = fault.node === this.folded ? fault.value : undefined;
    return { value: own ?? zeroOf(root.type), error: { kind, message } };
  }

  #onlyBoolean(compiler: Compiler): Run<boolean> {
    const { fault, root } = this;
    const value = compiler.value(this.folded);
    return (event) => {
      const found = value(event);
      if (typeof found === 'boolean' || found === undefined) return found;
      return fault.raise('cast', root, 'a filter gives a Boolean, not $', found);
    };
  }
}
