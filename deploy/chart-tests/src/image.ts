import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The user of the images. */
const UID = 65532;
const isRoot = process.getuid?.() === 0;

/**
 * A folder that stands for an image's file system: bundles below `app`, and the writable folders
 * that a pod declares below `writable`. Everything else belongs to somebody else.
 */
export interface ImageRoot {
  readonly root: string;
  /** Makes a folder that the image's user may write. */
  writable(name: string): string;
  remove(): void;
}

export function imageRoot(): ImageRoot {
  const root = mkdtempSync(join(tmpdir(), 'eventmesh-image-'));
  chmodSync(root, 0o755);
  return {
    root,
    writable(name) {
      const folder = join(root, name);
      mkdirSync(folder);
      if (isRoot) chownSync(folder, UID, UID);
      return folder;
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** What the image's entry gives to Node, and its environment; the Dockerfile is held to them. */
export const NODE_FLAGS = [
  '--max-semi-space-size=8',
  '--no-parallel-scavenge',
  '--no-allocation-site-pretenuring',
];
export const IMAGE_ENVIRONMENT = { NODE_ENV: 'production', MALLOC_MMAP_THRESHOLD_: '1048576' };

/** As the kubelet starts it: user 65532 without rights, the folder and entry of the image. */
function command(app: string, args: readonly string[]): readonly [string, string[]] {
  const entry = [process.execPath, ...NODE_FLAGS, join(app, 'main.mjs'), ...args];
  if (!isRoot) return [process.execPath, entry.slice(1)];
  const drop = ['--clear-groups', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all'];
  return ['setpriv', [`--reuid=${UID}`, `--regid=${UID}`, ...drop, ...entry]];
}

const environmentOf = (env: Readonly<Record<string, string>>) => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  ...IMAGE_ENVIRONMENT,
  ...env,
});

/** Runs an image to its end. */
export function runImage(app: string, args: readonly string[]) {
  const [file, all] = command(app, args);
  const options = { cwd: app, env: environmentOf({}), encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(file, all, { ...options, timeout: 20_000 });
  return { code: status, stdout, stderr };
}

export interface RunningImage {
  /** What the service said when it was ready. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly memberId: string;
  /** Sends SIGTERM and gives the exit code. */
  stop(): Promise<number | null>;
}

/** Starts an image and waits for its `ready` line; throws with its output when it ends before. */
export async function startImage(
  app: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningImage> {
  const [file, all] = command(app, args);
  const child = spawn(file, all, {
    cwd: app,
    env: environmentOf(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const lines: string[] = [];
  const ready = await Promise.race([readyLine(child, lines), ended]);
  if (Array.isArray(ready)) throw new Error(`exit ${ready[0]} before ready:\n${lines.join('\n')}`);
  return {
    ...ready,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      return code;
    },
  };
}

async function readyLine(child: ChildProcess, lines: string[]) {
  child.stderr?.on('data', (chunk: Buffer) => lines.push(chunk.toString('utf8')));
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    lines.push(line);
    const said = JSON.parse(line) as { msg: string; memberId: string } & Pick<
      RunningImage,
      'addresses'
    >;
    if (said.msg !== 'ready') continue;
    child.stdout?.resume();
    return { addresses: said.addresses, memberId: said.memberId };
  }
  return new Promise<never>(() => undefined);
}
