import type { SqlNode } from './ast.ts';
import { castOrRaise, spendsComparing, toText, typeOf } from './casts.ts';
import type { Compiler, Run } from './compile.ts';
import type { Fault } from './fault.ts';

/** The left side's type decides: each element is cast to it, in turn, until one is equal. */
export function compileIn(
  { of, set, negated }: SqlNode & { kind: 'in' },
  compiler: Compiler,
  fault: Fault,
): Run<boolean> {
  const value = compiler.value(of);
  const elements = set.map((element) => compiler.value(element));
  const among = amongTexts(set);
  return (event) => {
    const found = value(event);
    if (found === undefined) return undefined;
    if (among !== undefined && typeof found === 'string') return among(found) !== negated;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]?.(event);
      const node = set[i];
      if (element === undefined || node === undefined) return undefined;
      if (!spendsComparing(element, node, fault)) return undefined;
      const cast = castOrRaise(element, typeOf(found), node, fault);
      if (cast === undefined) return undefined;
      if (cast === found) return !negated;
    }
    return negated;
  };
}

const FEW = 8;

/** For a String on the left and nothing but constants on the right, all of which cast to String. */
function amongTexts(set: readonly SqlNode[]): ((text: string) => boolean) | undefined {
  const texts: string[] = [];
  for (const element of set) {
    if (element.kind !== 'literal') return undefined;
    texts.push(toText(element.value));
  }
  // Comparing a few is faster than hashing a string that was decoded just now.
  if (texts.length <= FEW) return (text) => texts.includes(text);
  const hashed = new Set(texts);
  return (text) => hashed.has(text);
}
