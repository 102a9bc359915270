import type { EventView } from '@eventmesh/event';
import { Budget } from './budget.ts';
import { compileData } from './data/data-filter.ts';
import { explainSql } from './explain-sql.ts';
import { compileFilters, compileWithin, type FilterErrorHandler } from './filter.ts';
import type { DataFilterSpec, FilterSpec } from './filter-spec.ts';
import { brief, seenAttribute, seenValue } from './seen.ts';
import { compileSqlFilter } from './sql/sql-filter.ts';

/** Why a list of filters was false for an event. */
export interface FilterReason {
  /** The smallest filter that decided it: `filters[0].any`, `filters[1].sql`. */
  readonly path: string;
  /** The part of it that was false: `region IN ('eu', 'us')`. At most 512 characters. */
  readonly expression: string;
  /** The values that it looked at: `region is "apac"`. At most 512 characters. */
  readonly saw: string;
  /** For one that was false because it was in error: what went wrong. */
  readonly error?: string;
}

export interface FilterVerdict {
  readonly passed: boolean;
  /** Missing when they passed. */
  readonly because?: FilterReason;
}

/**
 * Evaluates a subscription's filters as delivery does and says what stood in the way. Compiles them
 * for the occasion: for people who ask, not for the path of events.
 *
 * @throws MeshError as `compileFilters`.
 */
export function explainFilters(filters: readonly FilterSpec[], event: EventView): FilterVerdict {
  const budget = new Budget();
  let costly: string | undefined;
  const onError: FilterErrorHandler = (path, kind) => {
    if (kind === 'cost') costly = path;
  };
  if (compileWithin(budget, filters, { onError })(event)) return { passed: true };
  if (costly !== undefined) {
    return { passed: false, because: costReason(filters, costly, budget) };
  }
  const fault = unreadable(event);
  if (fault !== undefined) {
    return {
      passed: false,
      because: { path: 'filters', expression: '', saw: 'an event that is none', error: fault },
    };
  }
  for (const [index, filter] of filters.entries()) {
    const because = reasonOf(filter, `filters[${index}]`, event);
    if (because !== undefined) return { passed: false, because };
  }
  // Not reached: a list is false by one of its filters.
  return { passed: false };
}

/** Attributes are decoded when they are read, and what is no CloudEvent turns up only then. */
function unreadable(event: EventView): string | undefined {
  try {
    event.text('subject');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function passes(filter: FilterSpec, event: EventView): boolean {
  return compileFilters([filter])(event);
}

/** No filter is to blame alone, but at one of them the steps were used up. */
function costReason(filters: readonly FilterSpec[], path: string, budget: Budget): FilterReason {
  const expression = brief(JSON.stringify(filters));
  return { path, expression, saw: 'more than they may look at', error: `cost: ${budget.message}` };
}

/** Undefined when the filter is true. */
function reasonOf(filter: FilterSpec, field: string, event: EventView): FilterReason | undefined {
  if (passes(filter, event)) return undefined;
  if ('exact' in filter) return attributeReason('exact', filter.exact, field, event);
  if ('prefix' in filter) return attributeReason('prefix', filter.prefix, field, event);
  if ('suffix' in filter) return attributeReason('suffix', filter.suffix, field, event);
  if ('all' in filter) {
    const reasons = filter.all.map((inner, i) => reasonOf(inner, `${field}.all[${i}]`, event));
    return reasons.find((reason) => reason !== undefined);
  }
  if ('any' in filter) return anyReason(filter.any, `${field}.any`, event);
  if ('not' in filter) {
    const path = `${field}.not`;
    return { path, expression: brief(`not ${JSON.stringify(filter.not)}`), saw: 'it was true' };
  }
  if ('sql' in filter) {
    const path = `${field}.sql`;
    return { path, ...explainSql(compileSqlFilter(filter.sql, path, new Budget()), event) };
  }
  return dataReason(filter.data, `${field}.data`, event);
}

const SIGNS = { exact: '=', prefix: 'starts with', suffix: 'ends with' } as const;

function attributeReason(
  dialect: keyof typeof SIGNS,
  wanted: Readonly<Record<string, string>>,
  field: string,
  event: EventView,
): FilterReason | undefined {
  for (const [name, want] of Object.entries(wanted)) {
    if (passes({ [dialect]: { [name]: want } } as unknown as FilterSpec, event)) continue;
    return {
      path: `${field}.${dialect}.${name}`,
      expression: brief(`${name} ${SIGNS[dialect]} ${JSON.stringify(want)}`),
      saw: seenAttribute(name, event),
    };
  }
  return undefined;
}

function anyReason(filters: readonly FilterSpec[], path: string, event: EventView): FilterReason {
  const reasons = filters
    .map((inner, i) => reasonOf(inner, `${path}[${i}]`, event))
    .filter((reason) => reason !== undefined);
  const errors = reasons.map(({ error }) => error).filter((error) => error !== undefined);
  return {
    path,
    expression: brief(`any of ${JSON.stringify(filters)}`),
    saw: brief([...new Set(reasons.map(({ saw }) => saw))].join(', ')),
    ...(errors.length === 0 ? {} : { error: brief([...new Set(errors)].join(', ')) }),
  };
}

const VALUES_SHOWN = 4;

function dataReason(spec: DataFilterSpec, path: string, event: EventView): FilterReason {
  const { path: place } = spec;
  const expression = brief(`${place} ${dataTest(spec)}`);
  if (event.json === undefined) {
    return { path, expression, saw: 'the data is not JSON, or larger than 256 KiB' };
  }
  const found = compileData(spec, path, new Budget()).look(event, VALUES_SHOWN);
  const values = found.map(seenValue).join(', ');
  const saw = found.length === 0 ? `there is nothing at ${place}` : `${place} is ${values}`;
  return { path, expression, saw: brief(saw) };
}

function dataTest(spec: DataFilterSpec): string {
  if ('equals' in spec) return `= ${JSON.stringify(spec.equals)}`;
  if ('prefix' in spec) return `${SIGNS.prefix} ${JSON.stringify(spec.prefix)}`;
  if ('suffix' in spec) return `${SIGNS.suffix} ${JSON.stringify(spec.suffix)}`;
  if ('less' in spec) return `< ${spec.less}`;
  if ('greater' in spec) return `> ${spec.greater}`;
  return 'exists';
}
