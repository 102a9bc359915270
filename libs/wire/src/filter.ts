import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError, invalid } from '@eventmesh/errors';
import type { FilterSpec } from '@eventmesh/filter';
import type { Filter, FilterSchema } from '@eventmesh/proto-gen/subscriber';

type FilterInit = MessageInitShape<typeof FilterSchema>;

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
      return { all: dialect.value.filters.map((inner) => filterFromProto(inner, `${field}.all`)) };
    case 'any':
      return { any: dialect.value.filters.map((inner) => filterFromProto(inner, `${field}.any`)) };
    case 'not':
      return { not: filterFromProto(dialect.value, `${field}.not`) };
    case 'sql':
      throw new MeshError('Unimplemented', `${field}: the sql dialect is not there yet`, {
        field,
        reason: 'FILTER_DIALECT_UNKNOWN',
      });
    case 'data':
      throw new MeshError('Unimplemented', `${field}: the data dialect is not there yet`, {
        field,
        reason: 'FILTER_DIALECT_UNKNOWN',
      });
    case undefined:
      throw invalid(field, 'has no dialect, or one that is not known');
  }
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
  return { dialect: { case: 'not', value: filterToProto(filter.not) } };
}
