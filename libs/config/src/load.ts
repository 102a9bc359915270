import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { ConfigProblem, type ConfigOf, type Entry } from './spec.ts';

/** Everything that is wrong with a configuration, at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the configuration has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`);
    this.problems = problems;
  }
}

/** Where settings come from; later ones win: file, then environment, then `--set`. */
export interface ConfigSources {
  /** YAML or JSON file. */
  readonly file?: string;
  /** A value instead of a file. */
  readonly value?: unknown;
  /** Variables such as EVENTMESH_GRPC__PORT=9090 (`__` between levels, `_` before a capital). */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `grpc.port=9090`; the value is YAML. */
  readonly set?: readonly string[];
}

const ENV_PREFIX = 'EVENTMESH_';

/**
 * Loads, validates and compiles a configuration. Only its result is ever seen by code.
 *
 * @throws ConfigError with every problem found: of form first, and when there is none, of bounds.
 */
export function loadConfig<E extends Entry<unknown>>(spec: E, sources: ConfigSources): ConfigOf<E> {
  const given = gather(spec, sources);
  const problems = validate(spec, given);
  if (problems.length > 0) throw new ConfigError(problems);
  try {
    return spec.compile(given as never, '') as ConfigOf<E>;
  } catch (error) {
    if (error instanceof ConfigProblem) throw new ConfigError(error.problems);
    throw error;
  }
}

/** The problems of a configuration as given, one a line, each naming its key. */
export function validate(spec: Entry<unknown>, given: unknown): string[] {
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  const check = ajv.compile(spec.schema);
  if (check(given)) return [];
  return (check.errors ?? []).map(problemText);
}

function problemText(error: ErrorObject): string {
  const path = error.instancePath
    .slice(1)
    .replaceAll('/', '.')
    .replace(/\.(\d+)/g, '[$1]');
  const at = path === '' ? '' : `${path}: `;
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') {
    return `${at}unknown key "${String(params['additionalProperty'])}"`;
  }
  if (error.keyword === 'required') {
    return `${at}missing key "${String(params['missingProperty'])}"`;
  }
  if (error.keyword === 'enum') {
    return `${at}must be one of ${(params['allowedValues'] as string[]).join(', ')}`;
  }
  if (error.keyword === 'pattern')
    return `${at}does not have the form ${String(params['pattern'])}`;
  return `${at}${error.message ?? error.keyword}`;
}

function gather(spec: Entry<unknown>, sources: ConfigSources): Record<string, unknown> {
  const given = (sources.value ?? readFile(sources.file) ?? {}) as Record<string, unknown>;
  const out = structuredClone(given);
  for (const [name, value] of Object.entries(sources.env ?? {})) {
    if (!name.startsWith(ENV_PREFIX) || value === undefined) continue;
    const path = name.slice(ENV_PREFIX.length).split('__').map(camel);
    if (hasPath(spec, path)) setPath(out, path, parse(value));
  }
  for (const assignment of sources.set ?? []) {
    const at = assignment.indexOf('=');
    if (at < 1) throw new ConfigError([`--set ${assignment}: write it as key.path=value`]);
    setPath(out, assignment.slice(0, at).split('.'), parse(assignment.slice(at + 1)));
  }
  return out;
}

function readFile(file: string | undefined): unknown {
  if (file === undefined) return undefined;
  try {
    return parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new ConfigError([`${file}: ${(error as Error).message}`]);
  }
}

const camel = (level: string): string =>
  level.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

function hasPath(spec: Entry<unknown>, path: readonly string[]): boolean {
  let at: Entry<unknown> | undefined = spec;
  for (const name of path) at = at?.children?.[name];
  return at !== undefined;
}

function setPath(into: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = into;
  for (const name of path.slice(0, -1)) {
    if (['__proto__', 'constructor', 'prototype'].includes(name)) return;
    const next = at[name];
    if (typeof next !== 'object' || next === null) at[name] = {};
    at = at[name] as Record<string, unknown>;
  }
  const last = path.at(-1);
  if (last !== undefined && last !== '__proto__') at[last] = value;
}
