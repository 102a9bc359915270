import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '@eventmesh/errors';

/**
 * Holds a folder for this process. LMDB itself would let two processes write, but leases and watch
 * wake-ups live in the process, so a second one would miss changes. A holder that died (also by
 * `kill -9`) is recognised by its process id and, on Linux, by the id's start time.
 * @returns what releases it
 */
export function lockFolder(dir: string): () => void {
  const file = join(dir, 'kv.lock');
  const mine = `${process.pid} ${startTime(process.pid)}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      writeFileSync(file, mine, { flag: 'wx' });
      return () => {
        rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = readHolder(file);
      if (holder !== undefined && (attempt > 10 || isAlive(holder))) {
        throw new MeshError(
          'FailedPrecondition',
          `dir: ${dir} is in use by process ${holder.pid}; stop it or give each its own folder ` +
            `(if no such process runs, delete ${file})`,
          { field: 'dir', reason: 'FOLDER_IN_USE' },
        );
      }
      rmSync(file, { force: true });
    }
  }
}

interface Holder {
  readonly pid: number;
  readonly started: string;
}

function readHolder(file: string): Holder | undefined {
  try {
    const [pid = '', started = ''] = readFileSync(file, 'utf8').split(' ');
    return /^\d+$/.test(pid) ? { pid: Number(pid), started } : undefined;
  } catch (error) {
    // Released between our attempt and this read.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  // In a container the process id is often the same at each start; we do not hold it, so it is old.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const now = startTime(pid);
  return now === '' || started === '' || now === started;
}

/** Field 22 of /proc/<pid>/stat (proc(5)), or empty where there is none. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return ''; // Not Linux, or the process is gone: the id alone decides.
  }
}
