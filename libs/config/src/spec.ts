import type { Secret } from './secret.ts';

/**
 * The settings of a service as data: one tree of typed entries from which come the validation, the
 * compiled value, the reference page and the JSON schema that the Helm chart embeds.
 */
export type Entry<T> = {
  readonly kind: EntryKind;
  /** What the setting does, in one or two sentences, with unit and effect of extremes. */
  readonly about: string;
  /** The JSON schema of the value as given. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** As given; undefined: required, or absent when `optional`. */
  readonly default?: unknown;
  readonly optional?: boolean;
  readonly example?: unknown;
  readonly children?: Readonly<Record<string, Entry<unknown>>>;
  readonly item?: Entry<unknown>;
  /** From the given form to the compiled one. `path` is for error messages. */
  readonly compile: (given: never, path: string) => T;
};

export type EntryKind =
  | 'text'
  | 'number'
  | 'boolean'
  | 'choice'
  | 'duration'
  | 'size'
  | 'secret'
  | 'section'
  | 'list'
  | 'map';

/** The compiled type of an entry: durations in ms, sizes in bytes, secrets sealed. */
export type ConfigOf<E> = E extends Entry<infer T> ? T : never;

interface Common<G> {
  readonly default?: G;
  readonly example?: G;
}

const same = <T>(given: T): T => given;

const entry = <T>(
  kind: EntryKind,
  about: string,
  schema: Record<string, unknown>,
  options: { default?: unknown; example?: unknown; optional?: boolean },
  compile: (given: never, path: string) => T,
): Entry<T> => ({ kind, about, schema, ...options, compile });

export function text(
  about: string,
  options: Common<string> & { readonly pattern?: string; readonly maxLength?: number } = {},
): Entry<string> {
  const { pattern, maxLength = 4096, ...rest } = options;
  const schema = { type: 'string', maxLength, ...(pattern === undefined ? {} : { pattern }) };
  return entry('text', about, schema, rest, same<string>);
}

export function integer(
  about: string,
  options: Common<number> & { readonly min: number; readonly max: number },
): Entry<number> {
  const { min, max, ...rest } = options;
  const schema = { type: 'integer', minimum: min, maximum: max };
  return entry('number', about, schema, rest, same<number>);
}

/** A TCP port; 0 takes a free one. */
export const port = (about: string, defaultPort: number): Entry<number> =>
  integer(`${about} 0 takes a free port.`, { min: 0, max: 65_535, default: defaultPort });

export function boolean(about: string, defaultValue: boolean): Entry<boolean> {
  return entry('boolean', about, { type: 'boolean' }, { default: defaultValue }, same<boolean>);
}

export function choice<const C extends readonly string[]>(
  about: string,
  choices: C,
  options: Common<C[number]> = {},
): Entry<C[number]> {
  return entry('choice', about, { type: 'string', enum: choices }, options, same<C[number]>);
}

const DURATION_UNITS: Readonly<Record<string, number>> = Object.freeze({
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
});

/** A time span such as `500ms`, `30s`, `15m`, `24h`, `7d`; compiled to milliseconds. */
export function duration(
  about: string,
  options: Common<string> & { readonly min?: string; readonly max?: string } = {},
): Entry<number> {
  const { min = '0ms', max = '3650d', ...rest } = options;
  const schema = { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' };
  return entry('duration', `${about} Between ${min} and ${max}.`, schema, rest, ((
    given: string,
    path: string,
  ) => bounded(given, path, { min, max, parse: parseDuration })) as never);
}

export function parseDuration(given: string): number {
  const [, count = '0', unit = 'ms'] = /^(\d+)(ms|s|m|h|d)$/.exec(given) ?? [];
  return Number(count) * (DURATION_UNITS[unit] ?? 1);
}

const SIZE_UNITS: Readonly<Record<string, number>> = Object.freeze({
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
});

/** A number of bytes such as `64KiB`, `1MiB`, `10GiB`; compiled to bytes. */
export function size(
  about: string,
  options: Common<string> & { readonly min?: string; readonly max?: string } = {},
): Entry<number> {
  const { min = '0B', max = '1024TiB', ...rest } = options;
  const schema = { type: 'string', pattern: '^\\d+(B|KiB|MiB|GiB|TiB)$' };
  return entry('size', `${about} Between ${min} and ${max}.`, schema, rest, ((
    given: string,
    path: string,
  ) => bounded(given, path, { min, max, parse: parseSize })) as never);
}

export function parseSize(given: string): number {
  const [, count = '0', unit = 'B'] = /^(\d+)([KMGT]?i?B)$/.exec(given) ?? [];
  return Number(count) * (SIZE_UNITS[unit] ?? 1);
}

interface Bounds {
  readonly min: string;
  readonly max: string;
  readonly parse: (given: string) => number;
}

function bounded(given: string, path: string, { min, max, parse }: Bounds): number {
  const value = parse(given);
  if (value < parse(min) || value > parse(max)) {
    throw new ConfigProblem([`${path}: ${given} is out of bounds; between ${min} and ${max}`]);
  }
  return value;
}

/** What is wrong with a configuration that has the right form; each names its key. */
export class ConfigProblem extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Compiles all parts; the problems of all of them are told at once. */
function compileAll<T>(parts: readonly (readonly [name: string, compile: () => T])[]) {
  const problems: string[] = [];
  const compiled: (readonly [string, T])[] = [];
  for (const [name, compile] of parts) {
    try {
      compiled.push([name, compile()]);
    } catch (error) {
      if (!(error instanceof ConfigProblem)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigProblem(problems);
  return Object.fromEntries(compiled);
}

/** A secret, given as `{ file: PATH }` (preferred) or `{ value: TEXT }`; never printed. */
export function secret(about: string, open: (given: never, path: string) => Secret): Entry<Secret> {
  const part = { type: 'string', minLength: 1 };
  const schema = {
    type: 'object',
    additionalProperties: false,
    properties: { file: part, value: part },
    minProperties: 1,
    maxProperties: 1,
  };
  return entry('secret', about, schema, { example: { file: '/run/secrets/token' } }, open);
}

/** An entry that may be left out; compiled to undefined then. */
export function optional<T>(inner: Entry<T>): Entry<T | undefined> {
  return { ...inner, optional: true } as Entry<T | undefined>;
}

type SectionOf<C> = { readonly [K in keyof C]: ConfigOf<C[K]> };

/** Named entries; unknown keys are errors. */
export function section<const C extends Readonly<Record<string, Entry<unknown>>>>(
  about: string,
  children: C,
): Entry<SectionOf<C>> {
  const properties: Record<string, unknown> = {};
  const required: string[] = [];
  for (const [name, child] of Object.entries(children)) {
    properties[name] = describe(child);
    if (isRequired(child)) required.push(name);
  }
  const schema = { type: 'object', additionalProperties: false, properties, required };
  const compile = (given: Record<string, unknown>, path: string) => {
    const parts = Object.entries(children).map(([name, child]) => {
      const value =
        given[name] ??
        child.default ??
        (child.kind === 'section' && !child.optional ? {} : undefined);
      const at = path === '' ? name : `${path}.${name}`;
      return [
        name,
        () => (value === undefined ? undefined : child.compile(value as never, at)),
      ] as const;
    });
    return Object.freeze(compileAll(parts)) as SectionOf<C>;
  };
  return { kind: 'section', about, schema, children, compile: compile as never };
}

/** Whether a configuration without this entry is incomplete. */
export function isRequired(child: Entry<unknown>): boolean {
  if (child.optional === true || child.default !== undefined) return false;
  if (child.kind !== 'section') return true;
  return Object.values(child.children ?? {}).some(isRequired);
}

function describe(child: Entry<unknown>): Record<string, unknown> {
  return {
    ...child.schema,
    description: child.about,
    ...(child.default === undefined ? {} : { default: child.default }),
  };
}

export function list<T>(
  about: string,
  item: Entry<T>,
  options: { readonly maxItems?: number; readonly default?: readonly unknown[] } = {},
): Entry<readonly T[]> {
  const { maxItems = 1000 } = options;
  const schema = { type: 'array', items: describe(item as Entry<unknown>), maxItems };
  const compile = (given: unknown[], path: string) =>
    Object.freeze(
      Object.values(
        compileAll(
          given.map(
            (value, index) =>
              [`${index}`, () => item.compile(value as never, `${path}[${index}]`)] as const,
          ),
        ),
      ),
    );
  return {
    kind: 'list',
    about,
    schema,
    default: options.default ?? [],
    item: item as Entry<unknown>,
    compile: compile as never,
  };
}

/** Free names to values of one kind. */
export function map<T>(about: string, item: Entry<T>): Entry<Readonly<Record<string, T>>> {
  const schema = { type: 'object', additionalProperties: describe(item as Entry<unknown>) };
  const compile = (given: Record<string, unknown>, path: string) =>
    Object.freeze(
      compileAll(
        Object.entries(given).map(
          ([name, value]) => [name, () => item.compile(value as never, `${path}.${name}`)] as const,
        ),
      ),
    );
  return {
    kind: 'map',
    about,
    schema,
    default: {},
    item: item as Entry<unknown>,
    compile: compile as never,
  };
}
