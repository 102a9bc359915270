import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '@eventmesh/errors';
import { stringify } from 'yaml';
import type { ContextFile, SiteAddresses } from '../cli/context-file.ts';
import { loadIdentity, type Identity } from './identity.ts';
import { awaitJoined } from './joined.ts';
import { keptState, type StateKind } from './kept-state.ts';
import { ManagedProcess, type ProcessObserver } from './managed-process.ts';
import { planSites, type Plan, type PlanOptions, type SitePlan } from './plan.ts';
import { startServices } from './services.ts';

export interface LocalMeshOptions extends PlanOptions {
  /** Everything that is kept, under this folder. */
  readonly dir: string;
  /** A process for each service, with etcd and nats-server. Default: a process for each site. */
  readonly services?: boolean;
  readonly observer: ProcessObserver;
  /** Told of the steps of the start, which may take long the first time. */
  readonly note?: (text: string) => void;
}

/** Some sites running on this machine, each in processes of its own. */
export interface LocalMesh {
  readonly plan: Plan;
  readonly identity: Identity;
  /** The kinds of state that were in the folder before. */
  readonly kept: ReadonlySet<StateKind>;
  readonly sites: readonly (readonly [string, SiteAddresses])[];
  /** Process ids by name, such as `west` or `west/acl`. */
  pids(): ReadonlyMap<string, number>;
  /** Drains and stops all; answers the names of those that did not end in order. */
  stop(): Promise<readonly string[]>;
}

const JOIN_MS = 20_000;

/**
 * Starts the sites and resolves when all are ready and each reaches every other.
 *
 * @throws MeshError; nothing is left running.
 */
export async function startLocalMesh(options: LocalMeshOptions): Promise<LocalMesh> {
  const identity = loadIdentity(options.dir);
  const plan = await planSites(options);
  const kept = keptState(
    options.dir,
    plan.sites.map(({ name }) => name),
  );
  const start = options.services === true ? startServices : startSites;
  const mesh = { ...(await start({ ...options, identity, plan })), kept };
  const missing = await awaitJoined(mesh, JOIN_MS);
  if (missing.length === 0) return mesh;
  await mesh.stop();
  const text = `the sites did not join: ${missing.join('; ')}; the logs are in ${options.dir}`;
  throw new MeshError('Unavailable', text, { reason: 'NOT_STARTED' });
}

/** What both ways of running a mesh start from. */
export interface StartOptions extends LocalMeshOptions {
  readonly plan: Plan;
  readonly identity: Identity;
}

/** A mesh, started. */
export type StartedMesh = Omit<LocalMesh, 'kept'>;

async function startSites(options: StartOptions): Promise<StartedMesh> {
  const { plan, identity } = options;
  const processes = plan.sites.map((site) => siteProcess(site, options));
  try {
    await Promise.all(processes.map((process) => process.start()));
  } catch (error) {
    await stopAll(processes);
    throw MeshError.from(error);
  }
  return {
    plan,
    identity,
    sites: plan.sites.map((site) => [site.name, addressesOf(site)]),
    pids: () => pidsOf(processes),
    stop: () => stopAll(processes),
  };
}

export function addressesOf({ http, grpc, admin }: SitePlan): SiteAddresses {
  return {
    http: `http://127.0.0.1:${http}`,
    grpc: `127.0.0.1:${grpc}`,
    admin: `http://127.0.0.1:${admin}`,
  };
}

export function pidsOf(processes: readonly ManagedProcess[]): ReadonlyMap<string, number> {
  return new Map(
    processes.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid] as const])),
  );
}

/** Stops in turn by groups given in order; within a group at once. */
export async function stopAll(...groups: (readonly ManagedProcess[])[]): Promise<string[]> {
  const disorderly: string[] = [];
  for (const group of groups) {
    const ended = await Promise.all(group.map((process) => process.stop()));
    disorderly.push(...group.flatMap(({ name }, index) => (ended[index] === false ? [name] : [])));
  }
  return disorderly;
}

/** Writes a configuration for its owner alone, for it may hold secrets. */
export function writeConfig(path: string, value: unknown): string {
  writeFileSync(path, stringify(value), { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}

function siteProcess(
  site: SitePlan,
  { dir, observer, plan, identity }: StartOptions,
): ManagedProcess {
  const folder = join(dir, site.name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = writeConfig(join(folder, 'site.yaml'), {
    site: site.name,
    dir: folder,
    grpc: { port: site.grpc },
    http: { port: site.http },
    admin: { port: site.admin },
    neighbours: plan.sites
      .filter(({ name }) => site.neighbours.includes(name))
      .map(({ name, grpc }) => ({ site: name, address: `127.0.0.1:${grpc}` })),
    linkToken: { value: identity.linkToken },
    bootstrapFile: identity.bootstrapFile,
  });
  const program = new URL('../site/main.ts', import.meta.url).pathname;
  return new ManagedProcess(
    { name: site.name, args: [program, '--config', config], logFile: join(folder, 'log.jsonl') },
    observer,
  );
}

/** What the other commands read. */
export function contextOf({ sites, identity }: LocalMesh): ContextFile {
  return {
    version: 1,
    defaultSite: sites[0]?.[0] ?? '',
    sites: Object.fromEntries(sites),
    users: identity.users,
  };
}
