import { readFileSync } from 'node:fs';
import {
  ConfigError,
  boolean,
  choice,
  list,
  loadConfig,
  secret,
  section,
  text,
  type ConfigOf,
} from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import type { KvOperation } from '@eventmesh/kv-api';
import { parse } from 'yaml';
import { checkGraph, checkedPolicy } from './changes.ts';
import type { Directory } from './directory.ts';
import {
  ACTION_NAMES,
  NAME_PATTERN,
  SUBJECT_PATTERN,
  TENANT_PATTERN,
  type ActionName,
} from './names.ts';
import { checkPassword, hashPassword, passwordMatches, type ScryptCost } from './password.ts';
import {
  putRecord,
  recordKey,
  type AssignmentRecord,
  type PolicyRecord,
  type UserRecord,
} from './records.ts';

const tenant = text('Tenant.', { pattern: TENANT_PATTERN, default: 'default' });
const roles = list('Names of roles.', text('Role.', { pattern: NAME_PATTERN }), { maxItems: 32 });

/** Users, roles and policies to begin with. */
const bootstrapSpec = section('The users, roles and policies to begin with.', {
  users: list(
    'Users.',
    section('A user.', {
      tenant,
      name: text('Name to log in with.', { pattern: NAME_PATTERN }),
      password: secret('Password, 8 to 1,024 bytes.'),
      roles,
      disabled: boolean('Whether logging in is refused.', false),
    }),
  ),
  roles: list(
    'Roles that subjects have.',
    section('A role of a subject.', {
      tenant,
      subject: text('KIND:NAME, such as user:alice or role:operator.', {
        pattern: SUBJECT_PATTERN,
      }),
      role: text('Name of the role.', { pattern: NAME_PATTERN }),
    }),
  ),
  policies: list(
    'Who may do what.',
    section('An allow or deny.', {
      tenant,
      subject: text('KIND:NAME, such as user:alice or role:operator.', {
        pattern: SUBJECT_PATTERN,
      }),
      action: choice('What is allowed or denied.', Object.keys(ACTION_NAMES) as ActionName[]),
      filters: list('Topic filters or, for admin and inspect, resource names.', text('Filter.')),
      deny: boolean('Deny instead of allow; a deny wins.', false),
    }),
  ),
});

export type Bootstrap = ConfigOf<typeof bootstrapSpec>;

/** Every problem of a bootstrap file's text, one a line; none when it can be used. */
export function checkBootstrap(source: string): string[] {
  try {
    parseBootstrap(source);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [...error.problems];
    throw error;
  }
}

/** @throws ConfigError with every problem. */
export function parseBootstrap(source: string): Bootstrap {
  const bootstrap = loadConfig(bootstrapSpec, { value: parseYaml(source) });
  const problems: string[] = [];
  const note = (path: string, check: () => unknown) => {
    try {
      check();
    } catch (error) {
      problems.push(`${path}: ${MeshError.from(error).message}`);
    }
  };
  for (const [index, { name, password }] of bootstrap.users.entries()) {
    note(`users[${index}] (${name})`, () => checkPassword(password.reveal(), 'password'));
  }
  for (const [index, policy] of bootstrap.policies.entries()) {
    if (policy.filters.length === 0) problems.push(`policies[${index}].filters: is empty`);
    for (const [at, filter] of policy.filters.entries()) {
      note(`policies[${index}].filters[${at}]`, () =>
        checkedPolicy({ ...policy, filter }, 'policy'),
      );
    }
  }
  problems.push(...duplicates(bootstrap.users));
  for (const assignments of byTenant(assignmentsOf(bootstrap)).values()) {
    note('roles', () => checkGraph(assignments));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return bootstrap;
}

/** @throws ConfigError. */
export function readBootstrap(file: string): Bootstrap {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([`bootstrap.file: ${(error as Error).message}`]);
  }
  try {
    return parseBootstrap(source);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => `${file}: ${problem}`));
  }
}

function parseYaml(source: string): unknown {
  try {
    return parse(source) ?? {};
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
}

function duplicates(users: Bootstrap['users']): string[] {
  const seen = new Set<string>();
  return users.flatMap((user, index) => {
    const key = `${user.tenant}/${user.name}`;
    if (seen.has(key)) return [`users[${index}]: ${key} is there twice`];
    seen.add(key);
    return [];
  });
}

const assignmentsOf = (bootstrap: Bootstrap): AssignmentRecord[] =>
  bootstrap.roles.map((assignment) => ({ type: 'assignment', ...assignment }));

const policiesOf = (bootstrap: Bootstrap): PolicyRecord[] =>
  bootstrap.policies.flatMap(({ filters, ...policy }) =>
    filters.map((filter) => checkedPolicy({ ...policy, filter }, 'policy')),
  );

function byTenant(assignments: readonly AssignmentRecord[]): Map<string, AssignmentRecord[]> {
  const tenants = new Map<string, AssignmentRecord[]>();
  for (const assignment of assignments) {
    tenants.set(assignment.tenant, [...(tenants.get(assignment.tenant) ?? []), assignment]);
  }
  return tenants;
}

const OPERATIONS_MAX = 100;

/**
 * Puts a bootstrap into the store: `when-empty` only into one that has nothing (or where an earlier
 * bootstrap was cut off), `always` also over what is there; neither deletes. Safe to be run by
 * several replicas at once. Answers whether anything was written.
 */
export async function applyBootstrap(
  directory: Directory,
  bootstrap: Bootstrap,
  mode: 'when-empty' | 'always',
  cost: ScryptCost,
): Promise<boolean> {
  const wanted = () =>
    mode === 'always' || directory.version === 0 || directory.bootstrap === 'started';
  if (!wanted()) return false;
  const records = [
    ...(await userRecords(directory, bootstrap, cost)),
    ...assignmentsOf(bootstrap),
    ...policiesOf(bootstrap),
  ];
  const missing = (): KvOperation[] =>
    records
      .filter((record) => record.type === 'user' || !directory.has(recordKey(record)))
      .map(putRecord);
  const before = directory.version;
  // The mark comes first and is lifted last, so that a start cut off in between is finished later.
  for (let from = 0; wanted(); from += OPERATIONS_MAX) {
    const part = records.slice(from, from + OPERATIONS_MAX);
    const last = from + OPERATIONS_MAX >= records.length;
    await directory.commit(() => {
      if (!wanted()) return [];
      const keys = new Set(missing().map(({ key }) => key));
      const operations = part.filter((record) => keys.has(recordKey(record))).map(putRecord);
      const done = last && directory.bootstrap !== 'done';
      const begun = !last && keys.size > 0 && directory.bootstrap !== 'started';
      const mark = done || begun ? [bootstrapMark(last ? 'done' : 'started')] : [];
      for (const assignments of byTenant(assignmentsOf(bootstrap)).values()) {
        const own = directory.tenant(assignments[0]?.tenant ?? '').assignments;
        checkGraph(mergeAssignments(own, assignments));
      }
      return [...mark, ...operations];
    });
    if (last) break;
  }
  return directory.version !== before;
}

const bootstrapMark = (state: 'started' | 'done'): KvOperation =>
  putRecord({ type: 'bootstrap', state });

function mergeAssignments(
  a: readonly AssignmentRecord[],
  b: readonly AssignmentRecord[],
): AssignmentRecord[] {
  return [...new Map([...a, ...b].map((record) => [recordKey(record), record])).values()];
}

/** Only users that differ from what is stored, so that a restart does not raise the revision. */
async function userRecords(
  directory: Directory,
  bootstrap: Bootstrap,
  cost: ScryptCost,
): Promise<UserRecord[]> {
  const changed: UserRecord[] = [];
  for (const { tenant: of, name, password, roles: given, disabled } of bootstrap.users) {
    const stored = directory.user(of, name)?.value;
    const same =
      stored !== undefined &&
      stored.disabled === disabled &&
      JSON.stringify(stored.roles) === JSON.stringify([...new Set(given)]) &&
      (await passwordMatches(password.reveal(), stored.passwordHash));
    if (same) continue;
    const passwordHash = await hashPassword(password.reveal(), cost);
    const names = [...new Set(given)];
    changed.push({ type: 'user', tenant: of, name, roles: names, disabled, passwordHash });
  }
  return changed;
}
