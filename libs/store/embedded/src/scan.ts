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
