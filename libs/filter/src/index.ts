export {
  FILTER_DEPTH_MAX,
  FILTER_DIALECTS,
  FILTER_NODES_MAX,
  type DataFilterSpec,
  type FilterSpec,
  type JsonScalar,
} from './filter-spec.ts';
export {
  compileFilters,
  type CompileOptions,
  type FilterErrorHandler,
  type Predicate,
} from './filter.ts';
export { FILTER_STEPS_MAX } from './budget.ts';
export { FILTER_PARTS_MAX, FILTER_TEXT_MAX } from './size.ts';
export { explainFilters, type FilterReason, type FilterVerdict } from './explain.ts';
export { DATA_PATH_MAX } from './data/json-path.ts';
export { DATA_TEXT_MAX } from './data/data-filter.ts';
export { SQL_DEPTH_MAX, SQL_LENGTH_MAX, SQL_NODES_MAX } from './sql/parser.ts';
export { SQL_TEXT_MAX } from './sql/functions.ts';
export type { SqlErrorKind } from './sql/fault.ts';
export { necessaryConditions } from './necessary/necessary-conditions.ts';
export { ConditionIndex } from './necessary/condition-index.ts';
export {
  AFFIX_MAX,
  ATOMS_MAX,
  type Atom,
  type Condition,
  type Guard,
} from './necessary/condition.ts';
