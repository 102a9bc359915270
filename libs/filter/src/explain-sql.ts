import type { EventView } from '@eventmesh/event';
import { Budget } from './budget.ts';
import { brief, seenAttribute } from './seen.ts';
import { childrenOf, type SqlNode } from './sql/ast.ts';
import { Compiler } from './sql/compile.ts';
import { Fault } from './sql/fault.ts';
import type { SqlExpression } from './sql/sql.ts';

/** Which part of a false expression made it so, and what that part looked at. */
export function explainSql(
  expression: SqlExpression,
  event: EventView,
): { expression: string; saw: string; error?: string } {
  const part = decisive(expression.root, event, new Fault(new Budget()));
  const text = brief(expression.text.slice(part.start, part.end));
  const names = [...attributesOf(part, new Set())];
  const saw = brief(names.map((name) => seenAttribute(name, event)).join(', '));
  const own = { expression: text, saw: saw === '' ? 'no attribute' : saw };
  if (expression.test(event) !== undefined) return own;
  const { kind, message } = expression.fault;
  return { ...own, error: brief(`${kind}: ${message}`) };
}

/**
 * An AND is false, or in error, by the first of its parts that is not true. It is as far as the
 * budget lasts.
 */
function decisive(node: SqlNode, event: EventView, fault: Fault): SqlNode {
  if (node.kind !== 'and') return node;
  for (const part of node.of) {
    const truth = new Compiler(fault).boolean(part)(event);
    if (fault.budget.overspent) return node;
    if (truth !== true) return decisive(part, event, fault);
  }
  return node;
}

function attributesOf(node: SqlNode, into: Set<string>): Set<string> {
  if (node.kind === 'attribute' || node.kind === 'exists') into.add(node.name);
  for (const child of childrenOf(node)) attributesOf(child, into);
  return into;
}
