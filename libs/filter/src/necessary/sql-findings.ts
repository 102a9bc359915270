import type { SqlNode, SqlType } from '../sql/ast.ts';
import { toBoolean, toInteger, toText } from '../sql/casts.ts';
import { fixedEnds } from '../sql/like.ts';
import { everyOf, someOf } from './combine.ts';
import {
  ATOMS_MAX,
  NEVER_IN_ERROR,
  NOTHING_KNOWN,
  atom,
  type Atom,
  type Condition,
  type Findings,
  type Guard,
} from './condition.ts';

/**
 * What is known of an expression. Only what compares an attribute as text with constants gives
 * conditions: what casts the attribute to another type finds more texts equal than one.
 */
export function sqlFindings(node: SqlNode): Findings {
  switch (node.kind) {
    case 'literal':
      return typeof node.value === 'boolean' ? NEVER_IN_ERROR : NOTHING_KNOWN;
    case 'exists':
      return { ...NEVER_IN_ERROR, ensures: [node.name] };
    case 'and':
      return everyOf(node.of.map(operand));
    case 'or':
      return someOf(node.of.map(operand));
    case 'xor':
      return errorFree(both(errorFreeAs(node.left, 'boolean'), errorFreeAs(node.right, 'boolean')));
    case 'not':
      // Of an attribute or a literal it takes no Integer, which others do.
      return node.of.type === 'boolean' ? errorFree(sqlFindings(node.of).errorFree) : NOTHING_KNOWN;
    case 'equal':
      return equal(node);
    case 'order':
      return errorFree(both(errorFreeAs(node.left, 'integer'), errorFreeAs(node.right, 'integer')));
    case 'like':
      return like(node);
    case 'in':
      return among(node);
    case 'attribute':
    case 'minus':
    case 'math':
    case 'call':
      return NOTHING_KNOWN;
  }
}

const errorFree = (guards: readonly Guard[] | undefined): Findings => ({
  ...NEVER_IN_ERROR,
  errorFree: guards,
});

/** An operand of AND and OR is cast to Boolean. */
const operand = (node: SqlNode): Findings =>
  node.type === 'boolean' ? sqlFindings(node) : errorFree(errorFreeAs(node, 'boolean'));

const guard = (attribute: string, as: Guard['as']): Guard => ({ attribute, as, orAbsent: false });

/** Where these hold, a node has a value of this type. */
function errorFreeAs(node: SqlNode, type: SqlType): readonly Guard[] | undefined {
  if (node.kind === 'attribute') return [guard(node.name, type === 'string' ? 'text' : type)];
  if (node.kind === 'literal') {
    const { value } = node;
    if (type === 'string') return [];
    return (type === 'integer' ? toInteger(value) : toBoolean(value)) === undefined
      ? undefined
      : [];
  }
  // A Boolean can be cast to all types.
  return node.type === 'boolean' ? sqlFindings(node).errorFree : undefined;
}

const both = (
  left: readonly Guard[] | undefined,
  right: readonly Guard[] | undefined,
): readonly Guard[] | undefined => left && right && [...left, ...right];

/** The constant on the right decides: the left side is cast to its type. */
function equal({ left, right, negated }: SqlNode & { kind: 'equal' }): Findings {
  if (right.kind !== 'literal') return NOTHING_KNOWN;
  const { value } = right;
  if (typeof value !== 'string') {
    return errorFree(errorFreeAs(left, typeof value === 'number' ? 'integer' : 'boolean'));
  }
  if (left.kind !== 'attribute' || negated) return errorFree(errorFreeAs(left, 'string'));
  return textual(guard(left.name, 'text'), [[atom(left.name, 'exact', value)]]);
}

function like({ of, pattern, negated }: SqlNode & { kind: 'like' }): Findings {
  if (of.kind !== 'attribute' || negated) return errorFree(errorFreeAs(of, 'string'));
  const { prefix, suffix, whole } = fixedEnds(pattern);
  const { name } = of;
  const atoms: Atom[] = [];
  if (whole) atoms.push(atom(name, 'exact', prefix));
  else {
    if (prefix !== '') atoms.push(atom(name, 'prefix', prefix));
    if (suffix !== '') atoms.push(atom(name, 'suffix', suffix));
  }
  return textual(
    guard(name, 'text'),
    atoms.map((each) => [each]),
  );
}

/** The left side decides: with a String there, all constants are cast to String, which none fails. */
function among({ of, set, negated }: SqlNode & { kind: 'in' }): Findings {
  if (of.kind !== 'attribute') return NOTHING_KNOWN;
  const { name } = of;
  const texts = new Set<string>();
  for (const element of set) {
    if (element.kind !== 'literal') return NOTHING_KNOWN;
    texts.add(toText(element.value));
  }
  const atoms = [...texts].map((text) => atom(name, 'exact', text));
  return textual(guard(name, 'string'), negated || atoms.length > ATOMS_MAX ? [] : [atoms]);
}

const textual = (needs: Guard, anyOf: readonly (readonly Atom[])[]): Findings => ({
  conditions: anyOf.map((oneOf): Condition => ({ oneOf, provided: [needs] })),
  errorFree: [needs],
  ensures: [],
});
