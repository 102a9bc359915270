export {
  FILTER_DEPTH_MAX,
  FILTER_DIALECTS,
  FILTER_NODES_MAX,
  compileFilters,
  type FilterSpec,
  type Predicate,
} from './filter.ts';
