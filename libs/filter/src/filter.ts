import { invalid, MeshError } from '@eventmesh/errors';
import type { EventView } from '@eventmesh/event';

/**
 * One filter of the CloudEvents Subscriptions API 1.0, in its JSON form. Attribute values compare
 * as their canonical strings.
 */
export type FilterSpec =
  | { readonly exact: Readonly<Record<string, string>> }
  | { readonly prefix: Readonly<Record<string, string>> }
  | { readonly suffix: Readonly<Record<string, string>> }
  | { readonly all: readonly FilterSpec[] }
  | { readonly any: readonly FilterSpec[] }
  | { readonly not: FilterSpec };

/** A compiled filter; never throws. */
export type Predicate = (event: EventView) => boolean;

export const FILTER_DIALECTS = ['exact', 'prefix', 'suffix', 'all', 'any', 'not'] as const;

/** Deepest nesting of all, any and not. */
export const FILTER_DEPTH_MAX = 16;
/** Most filter nodes of one subscription. */
export const FILTER_NODES_MAX = 256;

/**
 * Compiles a subscription's filters, all of which must be true (an empty list is true). Untrusted
 * input is checked here.
 *
 * @throws MeshError InvalidArgument naming the path, or Unimplemented for an unknown dialect, which
 *   the specification forbids to ignore.
 */
export function compileFilters(filters: readonly FilterSpec[], field = 'filters'): Predicate {
  return allOf(compileList(filters, field, { nodes: 0 }, 0));
}

interface Budget {
  nodes: number;
}

function compileList(filters: unknown, field: string, budget: Budget, depth: number): Predicate[] {
  if (!Array.isArray(filters)) throw invalid(field, 'is not a list of filters');
  return filters.map((filter, index) => compile(filter, `${field}[${index}]`, budget, depth));
}

function compile(filter: unknown, field: string, budget: Budget, depth: number): Predicate {
  if (++budget.nodes > FILTER_NODES_MAX) {
    throw invalid(field, 'there are too many filters', { limit: `${FILTER_NODES_MAX} filters` });
  }
  if (depth > FILTER_DEPTH_MAX) {
    throw invalid(field, 'is nested too deeply', { limit: `${FILTER_DEPTH_MAX} levels` });
  }
  if (typeof filter !== 'object' || filter === null) throw invalid(field, 'is not a filter object');
  const [dialect, ...more] = Object.keys(filter);
  if (dialect === undefined || more.length > 0) {
    throw invalid(field, 'must have exactly one dialect', { limit: '1 dialect' });
  }
  const value = (filter as Record<string, unknown>)[dialect];
  const path = `${field}.${dialect}`;
  switch (dialect) {
    case 'exact':
      return attributeFilter(value, path, (have, want) => have === want);
    case 'prefix':
      return attributeFilter(value, path, (have, want) => have.startsWith(want));
    case 'suffix':
      return attributeFilter(value, path, (have, want) => have.endsWith(want));
    case 'all':
      return allOf(nonEmpty(compileList(value, path, budget, depth + 1), path));
    case 'any':
      return anyOf(nonEmpty(compileList(value, path, budget, depth + 1), path));
    case 'not': {
      const inner = compile(value, path, budget, depth + 1);
      return (event) => !inner(event);
    }
    default:
      throw new MeshError(
        'Unimplemented',
        `${path}: this dialect is not known; use ${FILTER_DIALECTS.join(', ')}`,
        { field: path, reason: 'FILTER_DIALECT_UNKNOWN' },
      );
  }
}

function nonEmpty(inner: Predicate[], path: string): Predicate[] {
  if (inner.length === 0) throw invalid(path, 'must have at least one filter');
  return inner;
}

function attributeFilter(
  value: unknown,
  path: string,
  compare: (have: string, want: string) => boolean,
): Predicate {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(path, 'must be an object of attribute names to strings');
  }
  const entries = Object.entries(value);
  if (entries.length === 0) throw invalid(path, 'must name at least one attribute');
  return allOf(
    entries.map(([name, want]) => {
      if (typeof want !== 'string' || want === '') {
        throw invalid(`${path}.${name}`, 'must be a non-empty string');
      }
      const read = attributeReader(name, path);
      return (event: EventView) => {
        const have = read(event);
        return have !== undefined && compare(have, want);
      };
    }),
  );
}

/** Reads an attribute by name, required ones without touching the attribute map. */
function attributeReader(name: string, path: string): (event: EventView) => string | undefined {
  if (!/^[a-z0-9]{1,64}$/.test(name)) {
    throw invalid(`${path}.${name}`, 'is not a CloudEvents attribute name');
  }
  switch (name) {
    case 'id':
      return (event) => event.id;
    case 'source':
      return (event) => event.source;
    case 'type':
      return (event) => event.type;
    case 'specversion':
      return (event) => event.specVersion;
    default:
      return (event) => event.text(name);
  }
}

function allOf(inner: readonly Predicate[]): Predicate {
  if (inner.length === 0) return () => true;
  const [only] = inner;
  if (inner.length === 1 && only !== undefined) return only;
  return (event) => {
    for (const test of inner) if (!test(event)) return false;
    return true;
  };
}

function anyOf(inner: readonly Predicate[]): Predicate {
  return (event) => {
    for (const test of inner) if (test(event)) return true;
    return false;
  };
}
