import { statfsSync } from 'node:fs';
import { MeshError } from '@eventmesh/errors';

/** What LMDB answers when pages are not what they should be, or what follows from that. */
const DAMAGE_CODES: readonly unknown[] = [
  -30797, // MDB_PAGE_NOTFOUND
  -30796, // MDB_CORRUPTED
  -30794, // MDB_VERSION_MISMATCH
  -30793, // MDB_INVALID
  -30787, // MDB_CURSOR_FULL
  -30784, // MDB_INCOMPATIBLE
  -30782, // MDB_BAD_TXN
  -30779, // MDB_PROBLEM
];

/** What an error of LMDB means to us: a damaged file is DataLoss, all else as it comes. */
export function fromLmdb(thrown: unknown, dir: string): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const { code } = (thrown ?? {}) as { readonly code?: unknown };
  if (!DAMAGE_CODES.includes(code)) return MeshError.from(thrown);
  return new MeshError(
    'DataLoss',
    `the LMDB file in ${dir} is damaged; restore the folder from a backup, nothing is repaired ` +
      'by itself',
    { reason: 'FILE_DAMAGED' },
    thrown,
  );
}

const EIO = 5;
const ENOSPC = 28;
const EDQUOT = 122;
/** LMDB writes at most so much at once; what is left when that does not fit any more is less. */
const FREE_BYTES_MIN = 4 * 1024 * 1024;

/**
 * Whether a commit failed for want of room. LMDB answers EIO when only a part of its pages could be
 * written: then the room that is left tells. Were it a true EIO after all, on a disk that is full
 * too, nothing is lost by going on: the pages of a commit that failed belong to nobody, and the
 * next one writes them anew.
 */
export function isDiskFull(cause: unknown, dir: string): boolean {
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  if (code === ENOSPC || code === EDQUOT) return true;
  if (code !== EIO) return false;
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize < FREE_BYTES_MIN;
}
