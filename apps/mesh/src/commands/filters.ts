import { invalid } from '@eventmesh/errors';
import { compileFilters, type FilterSpec, type JsonScalar } from '@eventmesh/filter';
import { startFromText, type Start, type SubscriptionInput } from '@eventmesh/sdk';

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
 * A filter from the command line: JSON of the Subscriptions API; `exact:name=value`, `prefix:…`,
 * `suffix:…`; `sql:` and an expression; or `data:` and a path with a test: `data:$.a.b=value`,
 * `^=` for prefix, `$=` for suffix, `<`, `>`, nothing for exists. `!` before a short form is `not`.
 */
export function parseFilter(text: string): FilterSpec {
  const filter = text.trimStart().startsWith('{') ? fromJson(text) : fromShort(text);
  compileFilters([filter], { field: '--filter' });
  return filter;
}

function fromJson(text: string): FilterSpec {
  try {
    return JSON.parse(text) as FilterSpec;
  } catch (error) {
    throw invalid('--filter', `is not JSON: ${(error as Error).message}`);
  }
}

const SHORT = /^(!?)(exact|prefix|suffix|sql|data):(.*)$/s;

function fromShort(text: string): FilterSpec {
  const [, not, dialect, rest = ''] = SHORT.exec(text) ?? [];
  const filter = dialect === undefined ? undefined : shortFilter(dialect, rest);
  if (filter === undefined) {
    throw invalid(
      '--filter',
      `"${text}" is not like prefix:type=com.example, sql:priority > 5, data:$.total>100, or JSON`,
    );
  }
  return not === '!' ? { not: filter } : filter;
}

function shortFilter(dialect: string, rest: string): FilterSpec | undefined {
  if (dialect === 'sql') return { sql: rest };
  if (dialect === 'data') return dataFilter(rest);
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(rest) ?? [];
  if (name === undefined || value === undefined) return undefined;
  return { [dialect]: { [name]: value } } as unknown as FilterSpec;
}

const DATA =
  /^(\$(?:\.[^.[\]=<>^$]+|\[(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'"\]]*)\])*)(?:(=|\^=|\$=|<|>)(.*))?$/s;

function dataFilter(text: string): FilterSpec {
  const [, path, sign, value = ''] = DATA.exec(text) ?? [];
  // Not a path: it is refused with the place in it at which it goes wrong.
  if (path === undefined) return { data: { path: text.split(/[=<>]/)[0] ?? '', exists: true } };
  switch (sign) {
    case '^=':
      return { data: { path, prefix: value } };
    case '$=':
      return { data: { path, suffix: value } };
    case '<':
      return { data: { path, less: number(value) } };
    case '>':
      return { data: { path, greater: number(value) } };
    case '=':
      return { data: { path, equals: scalar(value) } };
    default:
      return { data: { path, exists: true } };
  }
}

/** Not a number when there is none; the filter is refused then. */
const number = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text));

/** What reads as a JSON number, true, false, null or string is that, and all else a string. */
function scalar(text: string): JsonScalar {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? text : (value as JsonScalar);
  } catch {
    // Not JSON, and so a string without quotes, as people type it.
    return text;
  }
}

/** Where to begin, as `startFromText` reads it. @param given the option or argument that says it */
export const parseStart = (text: string, given: string): Start => startFromText(text, given);

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
    ...(options.from === undefined ? {} : { start: parseStart(options.from, '--from') }),
    ...(options.direct === true ? { deliveryClass: 'direct' } : {}),
    ...(options.ordered === true ? { ordered: true } : {}),
  };
}
