import { invalid } from '@eventmesh/errors';
import { compileFilters, type FilterSpec } from '@eventmesh/filter';
import type { SubscriptionInput } from '@eventmesh/sdk';

/** Options by which `sub` and `subscriptions create` describe a subscription. */
export interface SpecOptions {
  readonly filter?: readonly string[];
  readonly from?: string;
  readonly direct?: boolean;
  readonly exclusive?: boolean;
  readonly broadcast?: boolean;
  readonly ordered?: boolean;
}

/**
 * A CloudEvents filter from the command line: JSON of the Subscriptions API, or
 * `exact:name=value`, `prefix:…`, `suffix:…`, each with `!` before it for `not`.
 */
export function parseFilter(text: string): FilterSpec {
  const filter = text.trimStart().startsWith('{') ? fromJson(text) : fromShort(text);
  compileFilters([filter], '--filter');
  return filter;
}

function fromJson(text: string): FilterSpec {
  try {
    return JSON.parse(text) as FilterSpec;
  } catch (error) {
    throw invalid('--filter', `is not JSON: ${(error as Error).message}`);
  }
}

const SHORT = /^(!?)(exact|prefix|suffix):([a-z0-9]+)=(.*)$/s;

function fromShort(text: string): FilterSpec {
  const [, not, dialect, name, value] = SHORT.exec(text) ?? [];
  if (dialect === undefined || name === undefined || value === undefined) {
    throw invalid('--filter', `"${text}" is not like prefix:type=com.example, or JSON`);
  }
  const filter = { [dialect]: { [name]: value } } as unknown as FilterSpec;
  return not === '!' ? { not: filter } : filter;
}

/** `latest`, `earliest`, an RFC 3339 time, or `partition:position`. */
export function parseStart(text: string): NonNullable<SubscriptionInput['start']> {
  if (text === 'latest' || text === 'earliest') return { kind: text };
  const [, partition, position] = /^(\d{1,5}):(\d{1,15})$/.exec(text) ?? [];
  if (partition !== undefined) {
    return { kind: 'position', partition: Number(partition), position: Number(position) };
  }
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) {
    throw invalid('--from', `"${text}" is not latest, earliest, a time or partition:position`);
  }
  return { kind: 'time', timeMs };
}

/** The subscription that name, topic filters and options describe. */
export function toSpec(
  name: string,
  topicFilters: readonly string[],
  options: SpecOptions,
): SubscriptionInput {
  if (options.exclusive === true && options.broadcast === true) {
    throw invalid('--exclusive', 'give either --exclusive or --broadcast');
  }
  const mode =
    options.exclusive === true ? 'exclusive' : options.broadcast ? 'broadcast' : 'shared';
  return {
    name,
    topicFilters,
    filters: (options.filter ?? []).map(parseFilter),
    mode,
    ...(options.from === undefined ? {} : { start: parseStart(options.from) }),
    ...(options.direct === true ? { deliveryClass: 'direct' } : {}),
    ...(options.ordered === true ? { ordered: true } : {}),
  };
}
