import type { MathOperator, OrderOperator, SqlNode, SqlType, SqlValue } from './ast.ts';
import { childrenOf } from './ast.ts';
import { returnTypeOf } from './functions.ts';
import { tokenize, type Token } from './lexer.ts';
import { SqlSyntaxError } from './syntax-error.ts';

/** Longest expression, in UTF-16 units. */
export const SQL_LENGTH_MAX = 4096;
/** Most operators, operands and calls of one expression. */
export const SQL_NODES_MAX = 1024;
/** Deepest nesting. A chain of one AND or OR counts once. */
export const SQL_DEPTH_MAX = 64;

/** Tighter operators have the greater number; equal ones go from left to right, AND and OR too. */
const TIGHTNESS: Readonly<Record<string, number>> = {
  AND: 1,
  OR: 1,
  XOR: 1,
  '=': 2,
  '!=': 2,
  '<>': 2,
  '<': 2,
  '<=': 2,
  '>': 2,
  '>=': 2,
  '+': 3,
  '-': 3,
  '*': 4,
  '/': 4,
  '%': 4,
  IN: 5,
  LIKE: 5,
  NOT: 5,
};
const UNARY = 6;

const KEYWORDS = new Set(['AND', 'OR', 'XOR', 'NOT', 'LIKE', 'EXISTS', 'IN', 'TRUE', 'FALSE']);

/**
 * Parses a CloudEvents SQL 1.0 expression.
 *
 * @throws SqlSyntaxError that says where and what was expected.
 */
export function parseSql(text: string): SqlNode {
  if (text.length > SQL_LENGTH_MAX) {
    const limit = `${SQL_LENGTH_MAX} characters`;
    throw new SqlSyntaxError(SQL_LENGTH_MAX, `the expression has ${text.length} characters`, limit);
  }
  const parser = new Parser(text);
  return parser.whole();
}

/** A node's own part; place, depth and type are added by `#node`. */
type Own<N> = N extends unknown ? Omit<N, 'start' | 'end' | 'depth' | 'type'> : never;

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #nodes = 0;
  #nesting = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  whole(): SqlNode {
    const node = this.#expression(0);
    if (this.#token.kind !== 'end') throw this.#unexpected('an operator or the end');
    return node;
  }

  get #token(): Token {
    return this.#tokens[this.#at] ?? END;
  }

  /** An operand, and what follows as long as it binds tighter than `tightness`. */
  #expression(tightness: number): SqlNode {
    if (++this.#nesting > SQL_DEPTH_MAX) throw this.#tooDeep();
    const { start } = this.#token;
    let left = this.#operand();
    for (;;) {
      const { kind, value } = this.#token;
      const next = kind === 'word' || kind === 'symbol' ? (TIGHTNESS[value] ?? 0) : 0;
      if (next <= tightness) break;
      left = this.#operation(left, start, next);
    }
    this.#nesting--;
    return left;
  }

  #operation(left: SqlNode, start: number, tightness: number): SqlNode {
    const { value: operator } = this.#take();
    switch (operator) {
      case 'NOT':
        if (this.#takeWord('LIKE')) return this.#like(left, start, true);
        if (this.#takeWord('IN')) return this.#in(left, start, true);
        throw this.#unexpected('LIKE or IN after NOT');
      case 'LIKE':
        return this.#like(left, start, false);
      case 'IN':
        return this.#in(left, start, false);
    }
    const right = this.#expression(tightness);
    switch (operator) {
      case 'AND':
      case 'OR': {
        const kind = operator === 'AND' ? 'and' : 'or';
        const of = left.kind === kind ? [...left.of, right] : [left, right];
        return this.#node(start, 'boolean', { kind, of });
      }
      case 'XOR':
        return this.#node(start, 'boolean', { kind: 'xor', left, right });
      case '=':
      case '!=':
      case '<>': {
        const negated = operator !== '=';
        return this.#node(start, 'boolean', { kind: 'equal', negated, left, right });
      }
      case '<':
      case '<=':
      case '>':
      case '>=': {
        const order: OrderOperator = operator;
        return this.#node(start, 'boolean', { kind: 'order', operator: order, left, right });
      }
      default: {
        const math = operator as MathOperator;
        return this.#node(start, 'integer', { kind: 'math', operator: math, left, right });
      }
    }
  }

  #like(of: SqlNode, start: number, negated: boolean): SqlNode {
    if (this.#token.kind !== 'text') throw this.#unexpected('a string after LIKE');
    const pattern = this.#take().value;
    return this.#node(start, 'boolean', { kind: 'like', negated, of, pattern });
  }

  #in(of: SqlNode, start: number, negated: boolean): SqlNode {
    this.#expect('(', 'a ( after IN');
    const set = this.#list();
    return this.#node(start, 'boolean', { kind: 'in', negated, of, set });
  }

  #operand(): SqlNode {
    const { kind, value, start, end } = this.#token;
    if (kind === 'text') return this.#literal(start, 'string', value);
    if (kind === 'word') return this.#word(value, start);
    if (value === '(') {
      this.#take();
      const inner = this.#expression(0);
      this.#expect(')', 'an operator or a )');
      return inner;
    }
    if (value === '-' || value === '+') {
      // A sign belongs to the digits right behind it, so that -2147483648 can be written.
      const digits = this.#tokens[this.#at + 1] ?? END;
      if (digits.start === end && /^\d+$/.test(digits.value) && digits.kind === 'word') {
        this.#take();
        return this.#integer(start, `${value}${digits.value}`);
      }
      if (value === '-') {
        this.#take();
        return this.#node(start, 'integer', { kind: 'minus', of: this.#expression(UNARY) });
      }
    }
    throw this.#unexpected('a value');
  }

  #word(word: string, start: number): SqlNode {
    if (/^\d+$/.test(word)) return this.#integer(start, word);
    if (word === 'NOT') {
      this.#take();
      return this.#node(start, 'boolean', { kind: 'not', of: this.#expression(UNARY) });
    }
    if (word === 'EXISTS') {
      this.#take();
      return this.#node(start, 'boolean', { kind: 'exists', name: this.#attributeName() });
    }
    if (word === 'TRUE' || word === 'FALSE')
      return this.#literal(start, 'boolean', word === 'TRUE');
    if (this.#tokens[this.#at + 1]?.value === '(' && !KEYWORDS.has(word)) return this.#call(start);
    return this.#node(start, 'any', { kind: 'attribute', name: this.#attributeName() });
  }

  #attributeName(): string {
    const { kind, value } = this.#token;
    if (kind !== 'word' || KEYWORDS.has(value)) throw this.#unexpected('an attribute');
    if (!/^[A-Z0-9]{1,64}$/.test(value)) {
      throw this.#unexpected('an attribute, whose name is 1 to 64 letters and digits,');
    }
    this.#take();
    return value.toLowerCase();
  }

  #call(start: number): SqlNode {
    const { value: name } = this.#token;
    if (!/^[A-Z][A-Z_]*$/.test(name)) {
      throw this.#unexpected('a function, whose name is letters and _,');
    }
    this.#take();
    this.#take();
    const args = this.#takeSymbol(')') ? [] : this.#list();
    const type = returnTypeOf(name, args.length) ?? 'any';
    return this.#node(start, type, { kind: 'call', name, args });
  }

  /** Expressions up to the closing bracket. */
  #list(): SqlNode[] {
    const items: SqlNode[] = [];
    do items.push(this.#expression(0));
    while (this.#takeSymbol(','));
    this.#expect(')', 'an operator, a comma or a )');
    return items;
  }

  #integer(start: number, digits: string): SqlNode {
    const value = Number(digits);
    if (value !== (value | 0)) {
      const message = `${digits.slice(0, 24)} is no 32-bit integer`;
      throw new SqlSyntaxError(start, message, '-2147483648 to 2147483647');
    }
    return this.#literal(start, 'integer', value | 0);
  }

  #literal(start: number, type: SqlType, value: SqlValue): SqlNode {
    this.#take();
    return this.#node(start, type, { kind: 'literal', value });
  }

  #node(start: number, type: SqlNode['type'], own: Own<SqlNode>): SqlNode {
    const end = this.#tokens[this.#at - 1]?.end ?? start;
    if (++this.#nodes > SQL_NODES_MAX) {
      throw new SqlSyntaxError(
        start,
        'the expression has too many parts',
        `${SQL_NODES_MAX} parts`,
      );
    }
    const node = { ...own, start, end, type, depth: 1 } as SqlNode;
    const depth = 1 + childrenOf(node).reduce((most, child) => Math.max(most, child.depth), 0);
    if (depth > SQL_DEPTH_MAX) throw this.#tooDeep();
    return { ...node, depth };
  }

  #take(): Token {
    const token = this.#token;
    this.#at++;
    return token;
  }

  #takeWord(word: string): boolean {
    if (this.#token.kind !== 'word' || this.#token.value !== word) return false;
    this.#at++;
    return true;
  }

  #takeSymbol(symbol: string): boolean {
    if (this.#token.kind !== 'symbol' || this.#token.value !== symbol) return false;
    this.#at++;
    return true;
  }

  #expect(symbol: string, what: string): void {
    if (!this.#takeSymbol(symbol)) throw this.#unexpected(what);
  }

  #unexpected(expected: string): SqlSyntaxError {
    const { kind, value, start } = this.#token;
    const found = kind === 'end' ? 'the end' : JSON.stringify(value.slice(0, 24));
    return new SqlSyntaxError(start, `${expected} is expected, not ${found}`);
  }

  #tooDeep(): SqlSyntaxError {
    const { start } = this.#token;
    return new SqlSyntaxError(
      start,
      'the expression is nested too deeply',
      `${SQL_DEPTH_MAX} levels`,
    );
  }
}

const END: Token = { kind: 'end', value: '', start: 0, end: 0 };
