import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { childrenOf, commandLine, cpuSecondsOf } from './processes.ts';

const MESH = new URL('../../../apps/mesh/src/main.ts', import.meta.url).pathname;
/** Real servers that run beside ours; their CPU is not the mesh's. */
const FOREIGN = new Set(['nats-server', 'etcd']);
const WORDS_MAX = 4000;

export interface SystemOptions {
  readonly sites: number;
  /** A process for each service, with etcd and nats-server. Default: a process for each site. */
  readonly services?: boolean;
}

export interface Site {
  readonly name: string;
  readonly http: string;
  readonly grpc: string;
  readonly user: string;
  readonly password: string;
}

/** A mesh under test, started as its users start it. */
export interface System {
  readonly sites: readonly Site[];
  /** Process ids of our own services, without the real servers and the starting command. */
  pids(): readonly number[];
  /** The process of one service. @throws Error when the services have no processes of their own. */
  pidOf(service: string): number;
  /** CPU seconds of our own services since they began. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

interface Context {
  readonly sites: Readonly<Record<string, { readonly http: string; readonly grpc: string }>>;
  readonly users: Readonly<Record<string, string>>;
}

/** Starts `mesh dev` in a folder of its own. @throws Error with its last words. */
export async function startSystem({ sites, services = false }: SystemOptions): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'eventmesh-bench-'));
  const args = ['dev', '--json', '--quiet', '--no-sample', '--ports', '0', '--data', 'data'];
  const child = spawn(
    process.execPath,
    [MESH, ...args, '--sites', String(sites), ...(services ? ['--services'] : [])],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    await started(child);
    const context = readFileSync(join(folder, '.mesh', 'context.json'), 'utf8');
    return new MeshProcess(child, sitesOf(JSON.parse(context) as Context), remove);
  } catch (error) {
    await end(child);
    remove();
    throw error;
  }
}

class MeshProcess implements System {
  readonly sites: readonly Site[];
  readonly #child: ChildProcess;
  readonly #remove: () => void;

  constructor(child: ChildProcess, sites: readonly Site[], remove: () => void) {
    this.#child = child;
    this.sites = sites;
    this.#remove = remove;
  }

  pids(): readonly number[] {
    return childrenOf(this.#child.pid ?? 0)
      .filter(({ command }) => !FOREIGN.has(command))
      .map(({ pid }) => pid);
  }

  pidOf(service: string): number {
    const pid = this.pids().find((each) => commandLine(each).includes(`apps/${service}/`));
    if (pid === undefined) throw new Error(`there is no process of ${service}`);
    return pid;
  }

  cpuSeconds(): number {
    return this.pids().reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  }

  async stop(): Promise<void> {
    await end(this.#child);
    this.#remove();
  }
}

/** Resolves at its first line of output, which it writes when all is ready. */
async function started(child: ChildProcess): Promise<void> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the mesh has no output');
  let words = '';
  const remember = (line: string) => {
    words = `${words}${line}\n`.slice(-WORDS_MAX);
  };
  createInterface({ input: stderr }).on('line', remember);
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: stdout }).on('line', (line) => {
      remember(line);
      if (line.startsWith('{"started"')) resolve();
    });
  });
  const ended = once(child, 'close').then(([code]) => {
    throw new Error(`the mesh did not start (exit code ${code}): ${words.trim()}`);
  });
  await Promise.race([ready, ended]);
  ended.catch(() => undefined);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  await closed;
}

function sitesOf({ sites, users }: Context): Site[] {
  const password = users['admin'];
  if (password === undefined) throw new Error('the mesh has no user "admin"');
  return Object.entries(sites).map(([name, { http, grpc }]) => ({
    name,
    http,
    grpc,
    user: 'admin',
    password,
  }));
}
