import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalid } from '@eventmesh/errors';
import { stringify } from 'yaml';

/** Names and passwords of a local mesh, and what its parts show to each other. */
export interface Identity {
  /** Passwords by name: admin, publisher and subscriber. */
  readonly users: Readonly<Record<string, string>>;
  /** Shared by neighbouring sites. */
  readonly linkToken: string;
  /** Shared by the services of the mesh. */
  readonly serviceToken: string;
  /** File for the acl service to begin with. */
  readonly bootstrapFile: string;
  /** Made now, rather than found on disk. */
  readonly fresh: boolean;
}

const RIGHTS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  admin: ['admin', 'inspect', 'publish', 'subscribe'],
  publisher: ['publish', 'inspect'],
  subscriber: ['subscribe', 'inspect'],
});

const secret = (): string => randomBytes(18).toString('base64url');

/** The identity kept in a data folder; generated the first time, readable by its owner alone. */
export function loadIdentity(dir: string): Identity {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, 'identity.json');
  const bootstrapFile = join(dir, 'users.yaml');
  const found = read(path);
  if (found !== undefined) return { ...found, bootstrapFile, fresh: false };
  const identity = {
    users: Object.fromEntries(Object.keys(RIGHTS).map((name) => [name, secret()])),
    linkToken: secret(),
    serviceToken: secret(),
  };
  writeFileSync(bootstrapFile, bootstrapText(identity.users), { mode: 0o600 });
  writeFileSync(path, `${JSON.stringify(identity, undefined, 2)}\n`, { mode: 0o600 });
  return { ...identity, bootstrapFile, fresh: true };
}

function read(path: string): Omit<Identity, 'bootstrapFile' | 'fresh'> | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Identity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw invalid(path, (error as Error).message);
  }
}

/** Users and policies in the form that the acl service bootstraps from. */
function bootstrapText(users: Readonly<Record<string, string>>): string {
  return stringify({
    users: Object.entries(users).map(([name, password]) => ({
      name,
      password: { value: password },
      roles: [name],
    })),
    policies: Object.entries(RIGHTS).flatMap(([role, actions]) =>
      actions.map((action) => ({ subject: `role:${role}`, action, filters: ['#'] })),
    ),
  });
}
