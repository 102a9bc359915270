import { invalid } from '@eventmesh/errors';
import type { EventView } from '@eventmesh/event';
import { Budget } from '../budget.ts';
import type { DataFilterSpec } from '../filter-spec.ts';
import {
  DATA_PATH_MAX,
  JsonPathError,
  parseJsonPath,
  someAt,
  type Search,
  type Step,
} from './json-path.ts';

/** Longest text that equals, prefix or suffix may have, in UTF-16 units. */
export const DATA_TEXT_MAX = 4096;

/** Steps for a look at one value, beside one for each eight characters of the wanted text. */
const VALUE_STEPS = 5;

const TESTS = ['equals', 'prefix', 'suffix', 'less', 'greater', 'exists'] as const;
type Test = (typeof TESTS)[number];

/** A compiled `data` filter. */
export interface DataFilter {
  readonly spec: DataFilterSpec;
  /** How many steps its path has, and characters that and the wanted text. */
  readonly parts: number;
  readonly characters: number;
  /** Undefined when the budget is overspent. */
  readonly test: (event: EventView) => boolean | undefined;
  /** What lies at the path, at most `most` values of it, for an explanation. */
  readonly look: (event: EventView, most: number) => readonly unknown[];
}

/**
 * Compiles a filter over JSON data; the event's data is parsed at most once, however many filters
 * ask. Untrusted input is checked here.
 *
 * @throws MeshError InvalidArgument that names the place.
 */
export function compileData(value: unknown, field: string, budget: Budget): DataFilter {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(field, 'must be an object with a path and one test');
  }
  const { path, ...tests } = value as Readonly<Record<string, unknown>>;
  const way = stepsOf(path, `${field}.path`);
  const [name, ...more] = Object.keys(tests);
  if (name === undefined || more.length > 0) {
    throw invalid(field, `needs exactly one of ${TESTS.join(', ')} beside its path`);
  }
  if (!isTest(name)) throw invalid(`${field}.${name}`, `is not one of ${TESTS.join(', ')}`);
  const want = tests[name];
  const passes = testOf(name, want, `${field}.${name}`);
  const text = typeof want === 'string' ? want : '';
  const search: Search = { path: way, passes, each: VALUE_STEPS + (text.length >> 3) };
  const spec = value as DataFilterSpec;
  const least = way.length * VALUE_STEPS;
  return {
    spec,
    parts: way.length,
    characters: spec.path.length + text.length,
    test: (event) => {
      const data = event.json;
      if (data === undefined) return false;
      if (!budget.spend(least)) return undefined;
      return someAt(data, search, budget) || (budget.overspent ? undefined : false);
    },
    look: (event, most) => {
      const found: unknown[] = [];
      if (event.json !== undefined) {
        const show = (each: unknown): boolean => found.push(each) >= most;
        someAt(event.json, { ...search, passes: show }, new Budget());
      }
      return found;
    },
  };
}

function stepsOf(path: unknown, field: string): Step[] {
  if (typeof path !== 'string') throw invalid(field, 'must be a path such as $.order.total');
  if (path.length > DATA_PATH_MAX) {
    throw invalid(field, `has ${path.length} characters`, { limit: `${DATA_PATH_MAX} characters` });
  }
  try {
    return parseJsonPath(path);
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    const position = String(error.at + 1);
    throw invalid(field, `at character ${position}: ${error.message}`, { facts: { position } });
  }
}

const isTest = (name: string): name is Test => TESTS.some((test) => test === name);

function testOf(test: Test, want: unknown, field: string): (value: unknown) => boolean {
  if (typeof want === 'string' && want.length > DATA_TEXT_MAX) {
    throw invalid(field, 'is too long', { limit: `${DATA_TEXT_MAX} characters` });
  }
  switch (test) {
    case 'equals':
      if (want !== null && !['string', 'number', 'boolean'].includes(typeof want)) {
        throw invalid(field, 'must be a string, a number, true, false or null');
      }
      return (value) => value === want;
    case 'prefix':
    case 'suffix': {
      if (typeof want !== 'string' || want === '')
        throw invalid(field, 'must be a non-empty string');
      return test === 'prefix'
        ? (value) => typeof value === 'string' && value.startsWith(want)
        : (value) => typeof value === 'string' && value.endsWith(want);
    }
    case 'less':
    case 'greater':
      if (typeof want !== 'number' || !Number.isFinite(want))
        throw invalid(field, 'must be a number');
      return test === 'less'
        ? (value) => typeof value === 'number' && value < want
        : (value) => typeof value === 'number' && value > want;
    case 'exists':
      if (want !== true) throw invalid(field, 'must be true; for the opposite use a not filter');
      return () => true;
  }
}
