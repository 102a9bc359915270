import type { MathOperator, SqlNode } from './ast.ts';
import type { Compiler, Run } from './compile.ts';
import type { Fault } from './fault.ts';

const OPERATIONS: Readonly<Record<MathOperator, (x: number, y: number) => number>> = {
  '+': (x, y) => x + y,
  '-': (x, y) => x - y,
  '*': (x, y) => x * y,
  '/': (x, y) => Math.trunc(x / y),
  '%': (x, y) => x % y,
};

/** Arithmetic of 32 bits. What does not fit, and a division by 0, is an error worth 0. */
export function compileMath(
  node: SqlNode & { kind: 'math' },
  compiler: Compiler,
  fault: Fault,
): Run<number> {
  const { operator } = node;
  const left = compiler.integer(node.left);
  const right = compiler.integer(node.right);
  const operation = OPERATIONS[operator];
  const divides = operator === '/' || operator === '%';
  return (event) => {
    const x = left(event);
    if (x === undefined) return undefined;
    const y = right(event);
    if (y === undefined) return undefined;
    if (divides && y === 0) return fault.raise('math', node, '$ is divided by 0', x);
    const result = operation(x, y);
    // The products that a double rounds are far beyond 32 bits.
    const integer = result | 0;
    if (integer === result) return integer;
    return fault.raise('math', node, 'the result $ is no 32-bit integer', result);
  };
}
