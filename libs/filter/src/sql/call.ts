import type { SqlNode, SqlValue } from './ast.ts';
import type { Compiler, Run } from './compile.ts';
import type { Fault } from './fault.ts';
import { functionNames, functionOf, SQL_TEXT_MAX } from './functions.ts';

/** A call of a built-in function; of one that there is not, an error. */
export function compileCall(
  node: SqlNode & { kind: 'call' },
  compiler: Compiler,
  fault: Fault,
): Run<SqlValue> {
  const { name } = node;
  const called = functionOf(name, node.args.length);
  if (called === undefined) {
    const names = functionNames().join(', ');
    const message = `there is no $ with ${node.args.length} arguments; there are ${names}`;
    return () => fault.raise('missingFunction', node, message, name);
  }
  const args = node.args.map((arg, i) => {
    const type = called.takes[i] ?? called.rest ?? 'any';
    return type === 'any' ? compiler.value(arg) : compiler.cast(arg, type);
  });
  // One array for all evaluations: none of them is begun within another.
  const values: SqlValue[] = args.map(() => 0);
  return (event) => {
    let looked = 0;
    for (let i = 0; i < args.length; i++) {
      const value = args[i]?.(event);
      if (value === undefined) return undefined;
      values[i] = value;
      if (typeof value === 'string') looked += value.length;
    }
    if (!fault.spends(looked, node)) return undefined;
    const result = called.run(values, node, fault);
    if (typeof result !== 'string' || result.length <= SQL_TEXT_MAX) return result;
    const message = `the result is longer than ${SQL_TEXT_MAX} characters`;
    return fault.raise('functionEvaluation', node, message);
  };
}
