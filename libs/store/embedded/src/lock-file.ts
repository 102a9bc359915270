import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MeshError } from '@eventmesh/errors';

const held = new Set<string>();

/**
 * Makes this process the only one that writes in a folder, until the returned function is called.
 * The file names the process and when it started, so that what a killed process left is told from
 * a living owner.
 *
 * @throws MeshError FailedPrecondition when another process holds it.
 */
export function lockFolder(dir: string): () => void {
  const file = join(resolve(dir), 'owner');
  const me = identity(process.pid);
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, me);
      closeSync(handle);
      held.add(file);
      return () => {
        if (held.delete(file)) unlinkSync(file);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = readOwner(file);
    if (held.has(file) || attempt > 1 || (owner !== '' && owner !== me && isAlive(owner))) {
      throw new MeshError(
        'FailedPrecondition',
        `${dir} is in use by process ${owner.split(' ')[0] ?? '?'}; one process at a time`,
        { field: 'dir', reason: 'FOLDER_IN_USE' },
      );
    }
    unlinkSync(file);
  }
}

function readOwner(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function isAlive(owner: string): boolean {
  const pid = Number(owner.split(' ')[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return identity(pid) === owner;
}

/** Process id and, on Linux, its start time since boot: ids are used again. */
function identity(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${pid} ${fields[19] ?? ''} ${boot}`;
  } catch {
    return String(pid); // No /proc on this system: the id alone must do.
  }
}
