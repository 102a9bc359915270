import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkFile, padFile, type Padding } from './file-length.ts';
import { open, type Database, type RootDatabase } from 'lmdb';

export type Table = Database<Buffer, Buffer>;

/** The one LMDB environment of a store and its tables. */
export interface Files {
  readonly env: RootDatabase;
  /** Undefined when the file had the length it should have. */
  readonly padding: Padding | undefined;
  /** Log name to its id and spec, as JSON. */
  readonly logs: Table;
  /** Partition id and first position to block. */
  readonly blocks: Table;
  /** Partition id to what a trim left behind, as JSON. */
  readonly trims: Table;
  /** Partition id to the last position that was ever written, as JSON. */
  readonly tails: Table;
  /** Partition id and producer to its last sequence. */
  readonly producers: Table;
  /** Partition id and producer session to its epoch, last sequence and position, as JSON. */
  readonly sessions: Table;
  /** Partition id and subscription to cursor. */
  readonly cursors: Table;
}

/**
 * Opens what lies in a folder, or makes it; the folder must be there and belong to this process.
 *
 * @throws MeshError DataLoss when the file is no LMDB file or too short to be one.
 */
export async function openFiles(dir: string): Promise<Files> {
  checkFile(dir);
  const env = openEnv(dir);
  // Before any table: a page behind the end of the file would end the process.
  const padding = padFile(dir, env);
  const table = (name: string): Table =>
    env.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
  try {
    const files: Files = {
      env,
      padding,
      logs: table('logs'),
      blocks: table('blocks'),
      trims: table('trims'),
      tails: table('tails'),
      producers: table('producers'),
      sessions: table('sessions'),
      cursors: table('cursors'),
    };
    // A new file is only there after a crash when its folder is synced too.
    for (const folder of [resolve(dir), dirname(resolve(dir))]) syncFolder(folder);
    return files;
  } catch (error) {
    await closeDamaged({ env, padding });
    throw error;
  }
}

/** Closes files that are not what they should be, and leaves them as they were found. */
export async function closeDamaged({ env, padding }: Pick<Files, 'env' | 'padding'>) {
  await env.close();
  padding?.undo();
}

function openEnv(dir: string): RootDatabase {
  return open({
    path: dir,
    // The folder's name may have a dot, which would make it a file.
    noSubdir: false,
    maxDbs: 8,
    encoding: 'binary',
    keyEncoding: 'binary',
    // Plain LMDB: a commit is written and synced before its promise resolves. With overlapping
    // syncs it is not, single commits are slower (0.5 against 0.4 ms) and big ones no faster.
    overlappingSync: false,
    // Groups are made here. Its own batches of an event turn also have a promise that nobody gets:
    // when a commit fails, that one ends the process.
    eventTurnBatching: false,
  });
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** u32 id of a partition, then u48 position: a range of a partition is a range of keys. */
export function blockKey(partitionId: number, position: number): Buffer {
  const key = Buffer.allocUnsafe(10);
  key.writeUInt32BE(partitionId, 0);
  key.writeUIntBE(position, 4, 6);
  return key;
}

export function partitionKey(partitionId: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(partitionId, 0);
  return key;
}

/** The names of a partition in a table by `namedKey`, with their values, in order of the key. */
export function* namedEntries(table: Table, partitionId: number): Generator<[string, Buffer]> {
  const range = { start: partitionKey(partitionId), end: partitionKey(partitionId + 1) };
  for (const { key, value } of table.getRange(range)) yield [key.toString('utf8', 4), value];
}

export function namedKey(partitionId: number, name: string): Buffer {
  return Buffer.concat([partitionKey(partitionId), Buffer.from(name)]);
}
