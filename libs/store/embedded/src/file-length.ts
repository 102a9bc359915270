import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '@eventmesh/errors';
import type { RootDatabase } from 'lmdb';

/** Two meta pages of the smallest size. */
const FILE_BYTES_MIN = 8192;

const fileOf = (dir: string): string => join(dir, 'data.mdb');

/** @throws MeshError DataLoss when there is a file that cannot be one of ours. */
export function checkFile(dir: string): void {
  const bytes = statSync(fileOf(dir), { throwIfNoEntry: false })?.size;
  if (bytes === undefined || bytes >= FILE_BYTES_MIN) return;
  throw new MeshError(
    'DataLoss',
    `${fileOf(dir)} has ${bytes} bytes and was cut off; restore the folder from a backup, or ` +
      'remove it when nothing was ever stored there',
    { reason: 'FILE_CUT_OFF' },
  );
}

/** A file that was shorter than its own index says, and has zeros there now. */
export interface Padding {
  readonly missingBytes: number;
  /** Cuts it off again, as it was found. */
  readonly undo: () => void;
}

/**
 * Reading behind the end of a mapped file ends the process. The pages there may be free ones that
 * were never written, or lost ones: with zeros in their place everything can be looked at.
 */
export function padFile(dir: string, env: RootDatabase): Padding | undefined {
  const { lastPageNumber, pageSize } = env.getStats() as FileStats;
  const file = fileOf(dir);
  const { size } = statSync(file);
  const due = (lastPageNumber + 1) * pageSize;
  if (size >= due) return undefined;
  truncateSync(file, due);
  return { missingBytes: due - size, undo: () => truncateSync(file, size) };
}

interface FileStats {
  readonly lastPageNumber: number;
  readonly pageSize: number;
}
