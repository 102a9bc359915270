import { invalid, type MeshError } from '@eventmesh/errors';
import type { Budget } from '../budget.ts';
import { childrenOf, type SqlNode } from './ast.ts';
import { functionNames, functionOf } from './functions.ts';
import { SqlExpression } from './sql.ts';
import { SqlSyntaxError } from './syntax-error.ts';

/**
 * Compiles an expression for use as a filter, which is narrower than the language: what could never
 * be true of any event (a call of a function that there is not, a result that is no Boolean) is
 * refused at once.
 *
 * @throws MeshError InvalidArgument that names the field and the place in the text.
 */
export function compileSqlFilter(value: unknown, field: string, budget: Budget): SqlExpression {
  if (typeof value !== 'string') throw invalid(field, 'must be a CloudEvents SQL expression');
  const expression = parsed(value, field, budget);
  const { root } = expression;
  const unknown = unknownCall(root);
  if (unknown !== undefined) {
    const { name, args, start } = unknown;
    const names = functionNames().join(', ');
    const message = `there is no ${name} with ${args.length} arguments; there are ${names}`;
    throw refusal(field, start, message);
  }
  if (root.type === 'integer' || root.type === 'string') {
    const what = root.type === 'integer' ? 'an Integer' : 'a String';
    throw refusal(field, root.start, `the expression gives ${what}, a filter must give a Boolean`);
  }
  return expression;
}

function parsed(text: string, field: string, budget: Budget): SqlExpression {
  try {
    return new SqlExpression(text, budget);
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    throw refusal(field, error.at, error.message, error.limit);
  }
}

function refusal(field: string, at: number, message: string, limit?: string): MeshError {
  const position = String(at + 1);
  return invalid(field, `at character ${position}: ${message}`, {
    reason: 'FILTER_SQL_INVALID',
    facts: { position },
    ...(limit === undefined ? {} : { limit }),
  });
}

function unknownCall(node: SqlNode): (SqlNode & { kind: 'call' }) | undefined {
  if (node.kind === 'call' && functionOf(node.name, node.args.length) === undefined) return node;
  for (const child of childrenOf(node)) {
    const found = unknownCall(child);
    if (found !== undefined) return found;
  }
  return undefined;
}
