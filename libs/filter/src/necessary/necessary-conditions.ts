import type { FilterSpec } from '../filter-spec.ts';
import { Budget } from '../budget.ts';
import { compileSqlFilter } from '../sql/sql-filter.ts';
import { everyOf, someOf } from './combine.ts';
import { NEVER_IN_ERROR, atom, type Atom, type Condition, type Findings } from './condition.ts';
import { sqlFindings } from './sql-findings.ts';

/**
 * What a subscription's filters cannot be true without, any one of it enough to rule an event out;
 * none where nothing is sure. The filters are those that `compileFilters` has taken.
 *
 * @throws MeshError InvalidArgument for SQL that is none.
 */
export function necessaryConditions(filters: readonly FilterSpec[]): readonly Condition[] {
  return everyOf(filters.map(findingsOf)).conditions;
}

function findingsOf(filter: FilterSpec): Findings {
  if ('exact' in filter) return attributes('exact', filter.exact);
  if ('prefix' in filter) return attributes('prefix', filter.prefix);
  if ('suffix' in filter) return attributes('suffix', filter.suffix);
  if ('all' in filter) return everyOf(filter.all.map(findingsOf));
  if ('any' in filter) return someOf(filter.any.map(findingsOf));
  // Nothing follows from what must not be.
  if ('not' in filter) return { ...NEVER_IN_ERROR, errorFree: findingsOf(filter.not).errorFree };
  if ('sql' in filter) return sqlFindings(compileSqlFilter(filter.sql, 'sql', new Budget()).folded);
  return NEVER_IN_ERROR;
}

function attributes(kind: Atom['kind'], wanted: Readonly<Record<string, string>>): Findings {
  return everyOf(
    Object.entries(wanted).map(([attribute, text]) => ({
      conditions: [{ oneOf: [atom(attribute, kind, text)], provided: [] }],
      errorFree: [],
      ensures: [attribute],
    })),
  );
}
