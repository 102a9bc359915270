import { invalid, MeshError } from '@eventmesh/errors';
import type { EventView } from '@eventmesh/event';
import { attributeReader } from './attribute-reader.ts';
import { Budget } from './budget.ts';
import { compileData } from './data/data-filter.ts';
import {
  FILTER_DEPTH_MAX,
  FILTER_DIALECTS,
  FILTER_NODES_MAX,
  type FilterSpec,
} from './filter-spec.ts';
import { Size } from './size.ts';
import { countNodes } from './sql/ast.ts';
import type { SqlErrorKind } from './sql/fault.ts';
import { compileSqlFilter } from './sql/sql-filter.ts';

/** A compiled filter; never throws. */
export type Predicate = (event: EventView) => boolean;

/** Told of each error that made a filter false: its path, `filters[0].sql`, and what went wrong. */
export type FilterErrorHandler = (path: string, kind: SqlErrorKind) => void;

export interface CompileOptions {
  /** What the filters are called in messages. Default `filters`. */
  readonly field?: string;
  readonly onError?: FilterErrorHandler;
}

/**
 * Compiles a subscription's filters, all of which must be true (an empty list is true). Untrusted
 * input is checked here. A filter in error is false; `onError` hears of it. The steps over one event
 * are bounded for all filters together (`FILTER_STEPS_MAX`); an event that would take more is an
 * error of the filter that was on, and matches none.
 *
 * @throws MeshError InvalidArgument naming the path, or Unimplemented for an unknown dialect, which
 *   the specification forbids to ignore.
 */
export function compileFilters(
  filters: readonly FilterSpec[],
  options: CompileOptions = {},
): Predicate {
  return compileWithin(new Budget(), filters, options);
}

/** As `compileFilters`, with a budget of one's own; refilled when something was taken for an event. */
export function compileWithin(
  budget: Budget,
  filters: readonly FilterSpec[],
  { field = 'filters', onError = ignore }: CompileOptions = {},
): Predicate {
  let told = false;
  const tell: FilterErrorHandler = (path, kind) => {
    if (told) return;
    told = budget.overspent;
    onError(path, kind);
  };
  const compiler: Compiler = { nodes: 0, size: new Size(), budget, onError: tell };
  const test = allOf(compileList(filters, field, compiler, 0));
  const settled = (passed: boolean): boolean => {
    const { overspent } = budget;
    budget.refill();
    told = false;
    // Nobody knows what the others would have said, and `not` would make a yes of that.
    return passed && !overspent;
  };
  return (event) => {
    try {
      const passed = test(event);
      return budget.spent === 0 ? passed : settled(passed);
    } catch {
      // Attributes are decoded when they are read, and what is no CloudEvent may turn up only then.
      tell(field, 'generic');
      return settled(false);
    }
  };
}

const ignore: FilterErrorHandler = () => undefined;

interface Compiler {
  nodes: number;
  readonly size: Size;
  readonly budget: Budget;
  readonly onError: FilterErrorHandler;
}

function compileList(
  filters: unknown,
  field: string,
  compiler: Compiler,
  depth: number,
): Predicate[] {
  if (!Array.isArray(filters)) throw invalid(field, 'is not a list of filters');
  return filters.map((filter, index) => compile(filter, `${field}[${index}]`, compiler, depth));
}

function compile(filter: unknown, field: string, compiler: Compiler, depth: number): Predicate {
  if (++compiler.nodes > FILTER_NODES_MAX) {
    throw invalid(field, 'there are too many filters', { limit: `${FILTER_NODES_MAX} filters` });
  }
  if (depth > FILTER_DEPTH_MAX) {
    throw invalid(field, 'is nested too deeply', { limit: `${FILTER_DEPTH_MAX} levels` });
  }
  compiler.size.add(field, 1, 0);
  if (typeof filter !== 'object' || filter === null) throw invalid(field, 'is not a filter object');
  const [dialect, ...more] = Object.keys(filter);
  if (dialect === undefined || more.length > 0) {
    throw invalid(field, 'must have exactly one dialect', { limit: '1 dialect' });
  }
  const value = (filter as Record<string, unknown>)[dialect];
  const path = `${field}.${dialect}`;
  switch (dialect) {
    case 'exact':
      return attributeFilter(value, path, compiler, (have, want) => have === want);
    case 'prefix':
      return attributeFilter(value, path, compiler, (have, want) => have.startsWith(want));
    case 'suffix':
      return attributeFilter(value, path, compiler, (have, want) => have.endsWith(want));
    case 'all':
      return allOf(nonEmpty(compileList(value, path, compiler, depth + 1), path));
    case 'any':
      return anyOf(nonEmpty(compileList(value, path, compiler, depth + 1), path));
    case 'not': {
      const inner = compile(value, path, compiler, depth + 1);
      return (event) => !inner(event);
    }
    case 'sql':
      return sqlFilter(value, path, compiler);
    case 'data':
      return dataFilter(value, path, compiler);
    default:
      throw new MeshError(
        'Unimplemented',
        `${path}: this dialect is not known; use ${FILTER_DIALECTS.join(', ')}`,
        { field: path, reason: 'FILTER_DIALECT_UNKNOWN' },
      );
  }
}

function sqlFilter(value: unknown, path: string, { size, budget, onError }: Compiler): Predicate {
  const { test, fault, root, text } = compileSqlFilter(value, path, budget);
  size.add(path, countNodes(root), text.length);
  return (event) => {
    const result = test(event);
    if (result !== undefined) return result;
    onError(path, fault.kind);
    return false;
  };
}

function dataFilter(value: unknown, path: string, { size, budget, onError }: Compiler): Predicate {
  const { test, parts, characters } = compileData(value, path, budget);
  size.add(path, parts, characters);
  return (event) => {
    const result = test(event);
    if (result !== undefined) return result;
    onError(path, 'cost');
    return false;
  };
}

function nonEmpty(inner: Predicate[], path: string): Predicate[] {
  if (inner.length === 0) throw invalid(path, 'must have at least one filter');
  return inner;
}

function attributeFilter(
  value: unknown,
  path: string,
  { size, budget, onError }: Compiler,
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
      if (!/^[a-z0-9]{1,64}$/.test(name)) {
        throw invalid(`${path}.${name}`, 'is not a CloudEvents attribute name');
      }
      size.add(`${path}.${name}`, 1, name.length + want.length);
      const read = attributeReader(name);
      return (event: EventView) => {
        if (budget.overspent) return false;
        const have = read(event);
        if (have === undefined) return false;
        if (have.length <= LOOK_FREE || budget.spend(showSteps(event, name, have.length))) {
          return compare(have, want);
        }
        onError(path, 'cost');
        return false;
      };
    }),
  );
}

/** Texts up to this long cost nothing to speak of, whatever they were made of. */
const LOOK_FREE = 256;

/** Bytes are made a text each time they are looked at. */
const showSteps = (event: EventView, name: string, length: number): number =>
  event.attributes.get(name)?.kind === 'bytes' ? length : 0;

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
