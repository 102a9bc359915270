/** What an expression of CloudEvents SQL can be worth. Integers are of 32 bits. */
export type SqlValue = string | number | boolean;

export type SqlType = 'string' | 'integer' | 'boolean';

interface Spanned {
  /** Where the node's text lies in the expression: [start, end). */
  readonly start: number;
  readonly end: number;
  /** The type of its value; `any` is known only when there is an event. */
  readonly type: SqlType | 'any';
  /** 1 for a leaf. */
  readonly depth: number;
}

export type MathOperator = '*' | '/' | '%' | '+' | '-';
export type OrderOperator = '<' | '<=' | '>' | '>=';

export type SqlNode = Spanned &
  (
    | { readonly kind: 'literal'; readonly value: SqlValue }
    | { readonly kind: 'attribute'; readonly name: string }
    | { readonly kind: 'exists'; readonly name: string }
    | { readonly kind: 'not'; readonly of: SqlNode }
    | { readonly kind: 'minus'; readonly of: SqlNode }
    /** Chains of one operator lie flat. */
    | { readonly kind: 'and' | 'or'; readonly of: readonly SqlNode[] }
    | { readonly kind: 'xor'; readonly left: SqlNode; readonly right: SqlNode }
    | {
        readonly kind: 'equal';
        readonly negated: boolean;
        readonly left: SqlNode;
        readonly right: SqlNode;
      }
    | {
        readonly kind: 'order';
        readonly operator: OrderOperator;
        readonly left: SqlNode;
        readonly right: SqlNode;
      }
    | {
        readonly kind: 'math';
        readonly operator: MathOperator;
        readonly left: SqlNode;
        readonly right: SqlNode;
      }
    | {
        readonly kind: 'like';
        readonly negated: boolean;
        readonly of: SqlNode;
        readonly pattern: string;
      }
    | {
        readonly kind: 'in';
        readonly negated: boolean;
        readonly of: SqlNode;
        readonly set: readonly SqlNode[];
      }
    | { readonly kind: 'call'; readonly name: string; readonly args: readonly SqlNode[] }
  );

/** The parts that a node is made of, from left to right. */
export function childrenOf(node: SqlNode): readonly SqlNode[] {
  switch (node.kind) {
    case 'literal':
    case 'attribute':
    case 'exists':
      return [];
    case 'not':
    case 'minus':
    case 'like':
      return [node.of];
    case 'and':
    case 'or':
      return node.of;
    case 'xor':
    case 'equal':
    case 'order':
    case 'math':
      return [node.left, node.right];
    case 'in':
      return [node.of, ...node.set];
    case 'call':
      return node.args;
  }
}

/** How many parts a tree has, itself among them. */
export const countNodes = (node: SqlNode): number =>
  childrenOf(node).reduce((sum, child) => sum + countNodes(child), 1);

/** What an expression is worth that has no better value when it is in error. */
export function zeroOf(type: SqlNode['type']): SqlValue {
  return type === 'string' ? '' : type === 'integer' ? 0 : false;
}
