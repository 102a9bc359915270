import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalid } from '@eventmesh/errors';
import type { DataFilterSpec, FilterSpec, JsonScalar } from '@eventmesh/filter';
import type {
  DataFilter,
  DataFilterSchema,
  Filter,
  FilterSchema,
} from '@eventmesh/proto-gen/subscriber';

type FilterInit = MessageInitShape<typeof FilterSchema>;
type DataInit = MessageInitShape<typeof DataFilterSchema>;

/** From the gRPC form; nesting is bounded by the message depth that protobuf allows. */
export function filterFromProto(filter: Filter, field = 'filters'): FilterSpec {
  const { dialect } = filter;
  switch (dialect.case) {
    case 'exact':
      return { exact: dialect.value.attributes };
    case 'prefix':
      return { prefix: dialect.value.attributes };
    case 'suffix':
      return { suffix: dialect.value.attributes };
    case 'all':
      return { all: filtersFromProto(dialect.value.filters, `${field}.all`) };
    case 'any':
      return { any: filtersFromProto(dialect.value.filters, `${field}.any`) };
    case 'not':
      return { not: filterFromProto(dialect.value, `${field}.not`) };
    case 'sql':
      return { sql: dialect.value };
    case 'data':
      return { data: dataFromProto(dialect.value, `${field}.data`) };
    case undefined:
      throw invalid(field, 'has no dialect, or one that is not known');
  }
}

export function filtersFromProto(filters: readonly Filter[], field: string): FilterSpec[] {
  return filters.map((filter, index) => filterFromProto(filter, `${field}[${index}]`));
}

function dataFromProto({ path, test }: DataFilter, field: string): DataFilterSpec {
  switch (test.case) {
    case 'equals':
      return { path, equals: scalarFromJson(test.value, `${field}.equals`) };
    case 'prefix':
      return { path, prefix: test.value };
    case 'suffix':
      return { path, suffix: test.value };
    case 'less':
      return { path, less: test.value };
    case 'greater':
      return { path, greater: test.value };
    case 'exists':
      if (!test.value)
        throw invalid(`${field}.exists`, 'must be true; for the opposite use a not filter');
      return { path, exists: true };
    case undefined:
      throw invalid(field, 'has no test beside its path, or one that is not known');
  }
}

function scalarFromJson(json: string, field: string): JsonScalar {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalid(field, 'is not JSON; a string needs its quotes: "x"');
  }
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  throw invalid(field, 'must be a JSON string, number, true, false or null');
}

export function filterToProto(filter: FilterSpec): FilterInit {
  if ('exact' in filter)
    return { dialect: { case: 'exact', value: { attributes: { ...filter.exact } } } };
  if ('prefix' in filter)
    return { dialect: { case: 'prefix', value: { attributes: { ...filter.prefix } } } };
  if ('suffix' in filter)
    return { dialect: { case: 'suffix', value: { attributes: { ...filter.suffix } } } };
  if ('all' in filter)
    return { dialect: { case: 'all', value: { filters: filter.all.map(filterToProto) } } };
  if ('any' in filter)
    return { dialect: { case: 'any', value: { filters: filter.any.map(filterToProto) } } };
  if ('not' in filter) return { dialect: { case: 'not', value: filterToProto(filter.not) } };
  if ('sql' in filter) return { dialect: { case: 'sql', value: filter.sql } };
  return { dialect: { case: 'data', value: dataToProto(filter.data) } };
}

function dataToProto(data: DataFilterSpec): DataInit {
  const { path } = data;
  if ('equals' in data) {
    return { path, test: { case: 'equals', value: JSON.stringify(data.equals) } };
  }
  if ('prefix' in data) return { path, test: { case: 'prefix', value: data.prefix } };
  if ('suffix' in data) return { path, test: { case: 'suffix', value: data.suffix } };
  if ('less' in data) return { path, test: { case: 'less', value: data.less } };
  if ('greater' in data) return { path, test: { case: 'greater', value: data.greater } };
  return { path, test: { case: 'exists', value: true } };
}
