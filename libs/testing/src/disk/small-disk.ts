import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../temp-dir.ts';

/** A disk of a few megabytes. */
export interface SmallDisk {
  readonly path: string;
  resize(mebibytes: number): void;
  /** End who uses it first. */
  remove(): void;
}

/** Why there cannot be one, or undefined when there can. */
export const missingMountRights = (): string | undefined =>
  process.getuid?.() === 0 ? undefined : 'mounting a file system needs root';

export function smallDisk(mebibytes: number): SmallDisk {
  const dir = tempDir('small-disk');
  const path = join(dir.path, 'mnt');
  mkdirSync(path);
  run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path);
  let mounted = true;
  const remove = () => {
    process.removeListener('exit', remove);
    if (mounted) run('umount', path);
    mounted = false;
    dir.remove();
  };
  process.once('exit', remove);
  return {
    path,
    resize: (size) => run('mount', '-o', `remount,size=${size}m`, path),
    remove,
  };
}

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`, { cause: error });
  }
}
