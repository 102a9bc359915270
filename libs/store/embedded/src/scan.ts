import { MeshError } from '@eventmesh/errors';
import { unseal } from '@eventmesh/store-api';
import { blockHead } from './block.ts';
import type { Files } from './files.ts';
import type { Partition } from './partition.ts';

/**
 * Reads everything there is and checks it.
 *
 * @throws MeshError DataLoss at the first thing that is damaged or missing.
 */
export function scanAll(files: Files, partitions: Iterable<Partition>): void {
  for (const partition of partitions) {
    for (let position = partition.first; position <= partition.durable;) {
      const block = partition.blockAt(position);
      if (block === undefined || blockHead(block).last < position) {
        throw partition.missing(position);
      }
      position = blockHead(block).last + 1;
    }
  }
  for (const name of ['logs', 'trims', 'tails', 'producers', 'sessions', 'cursors'] as const) {
    for (const { value } of files[name].getRange({})) unseal(value, `a value of table ${name}`);
  }
}

/**
 * Logs are never deleted, so what was written belongs to one of them: a log that cannot be found any
 * more would be made anew, over its records.
 *
 * @throws MeshError DataLoss when there are records of a log that is not known.
 */
export function checkOwners(files: Files, partitions: Iterable<Partition>): void {
  const known = new Set([...partitions].map(({ id }) => id));
  for (const key of files.tails.getKeys()) {
    const id = key.readUInt32BE(0);
    if (known.has(id)) continue;
    throw new MeshError(
      'DataLoss',
      `the list of logs: records of partition id ${id} belong to no log; restore the storage from a backup`,
      { reason: 'LOG_MISSING' },
    );
  }
}
