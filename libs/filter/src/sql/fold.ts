import { EventView } from '@eventmesh/event';
import { childrenOf, type SqlNode, type SqlValue } from './ast.ts';
import { typeOf } from './casts.ts';
import { Compiler } from './compile.ts';
import { Fault } from './fault.ts';

/** Constants do not look at the event. */
const NO_EVENT = new EventView(new Uint8Array(0));

/**
 * Replaces what does not depend on the event by its value. What is in error stays as it is, so that
 * each evaluation ends with that error.
 */
export function fold(node: SqlNode): SqlNode {
  const folded = foldChildren(node);
  if (folded.kind === 'literal' || folded.kind === 'attribute' || folded.kind === 'exists') {
    return folded;
  }
  if (folded.kind === 'and' || folded.kind === 'or') return shorten(folded);
  if (!childrenOf(folded).every(({ kind }) => kind === 'literal')) return folded;
  return evaluated(folded) ?? folded;
}

function foldChildren(node: SqlNode): SqlNode {
  switch (node.kind) {
    case 'not':
    case 'minus':
    case 'like':
      return { ...node, of: fold(node.of) };
    case 'and':
    case 'or':
      return { ...node, of: node.of.map(fold) };
    case 'xor':
    case 'equal':
    case 'order':
    case 'math':
      return { ...node, left: fold(node.left), right: fold(node.right) };
    case 'in':
      return { ...node, of: fold(node.of), set: node.set.map(fold) };
    case 'call':
      return { ...node, args: node.args.map(fold) };
    default:
      return node;
  }
}

/** Nothing behind the operand that settles it, and none of those that change nothing. */
function shorten(node: SqlNode & { kind: 'and' | 'or' }): SqlNode {
  const settling = node.kind === 'or';
  const of: SqlNode[] = [];
  for (const operand of node.of) {
    if (operand.kind === 'literal' && typeof operand.value === 'boolean') {
      if (operand.value !== settling) continue;
      of.push(operand);
      break;
    }
    of.push(operand);
  }
  const [only] = of;
  if (only === undefined) return literal(node, !settling);
  if (of.length === 1 && only.kind === 'literal') return evaluated({ ...node, of }) ?? node;
  return { ...node, of };
}

function evaluated(node: SqlNode): SqlNode | undefined {
  const value = new Compiler(new Fault()).value(node)(NO_EVENT);
  return value === undefined ? undefined : literal(node, value);
}

const literal = ({ start, end }: SqlNode, value: SqlValue): SqlNode => ({
  kind: 'literal',
  value,
  start,
  end,
  type: typeOf(value),
  depth: 1,
});
