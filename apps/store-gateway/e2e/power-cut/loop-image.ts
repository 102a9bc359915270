import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir, type TempDir } from '@eventmesh/testing';

/** A file system in a file, mounted: what a power cut leaves of it is a copy of that file. */
export interface LoopImage {
  /** Where it is mounted. */
  readonly path: string;
  /**
   * Copies the image as it is now. What the kernel has not written to the "disk" is not in the
   * copy. Stop the writers first.
   */
  cut(): void;
  /** Takes the copy for the disk: unmounts this one, mounts that one. End the writers first. */
  restore(): void;
  remove(): void;
}

const IMAGE_BYTES = 1024 * 1024 * 1024;

/** Why images cannot be mounted here, or undefined when they can. */
export function missingLoopSupport(): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting a file system needs root';
  if (!existsSync('/dev/loop-control')) return 'this kernel has no loop devices';
  for (const [tool, arg] of TOOLS) {
    if (spawnSync(tool, [arg]).error !== undefined) return `${tool} is not installed`;
  }
  return undefined;
}

const TOOLS = [
  ['mkfs.ext4', '-V'],
  ['mount', '--version'],
  ['umount', '--version'],
  ['cp', '--version'],
] as const;

/** @throws Error when the image cannot be made or mounted. */
export function loopImage(): LoopImage {
  const dir = imageFolder();
  let number = 0;
  const file = (n: number) => join(dir.path, `disk-${n}.img`);
  const path = join(dir.path, 'mnt');
  mkdirSync(path);
  let mounted = false;
  const mount = () => {
    // A long commit interval: the journal goes to disk when somebody asks, and not by the clock.
    run('mount', '-o', 'loop,commit=300', file(number), path);
    mounted = true;
  };
  const unmount = () => {
    if (mounted) run('umount', path);
    mounted = false;
  };
  const remove = () => {
    process.removeListener('exit', remove);
    unmount();
    dir.remove();
  };
  process.once('exit', remove);
  run('truncate', '-s', String(IMAGE_BYTES), file(0));
  run('mkfs.ext4', '-q', file(0));
  mount();
  return {
    path,
    cut() {
      run('cp', '--sparse=always', file(number), file(number + 1));
    },
    restore() {
      unmount();
      rmSync(file(number));
      number++;
      mount();
    },
    remove,
  };
}

/** In memory when there is room: a copy is quick then, and hardly anything changes under it. */
function imageFolder(): TempDir {
  const shm = '/dev/shm';
  const free = spawnSync('df', ['--output=avail', '-B1', shm], { encoding: 'utf8' }).stdout;
  const inMemory = Number(free.trim().split('\n').at(-1)) > 3 * IMAGE_BYTES;
  return tempDir('power-cut', inMemory ? shm : undefined);
}

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`, { cause: error });
  }
}
