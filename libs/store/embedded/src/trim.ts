import { writeTrimMark, type Commit } from './commit.ts';
import { blockKey, type Files } from './files.ts';
import type { Partition } from './partition.ts';

/** Blocks that one commit of a trim removes at most, so that appends are not held up. */
const TRIM_BLOCKS_MAX = 256;

/**
 * Removes whole blocks below a position, a bounded number; tells whether there are more. The one way
 * in which records leave the disk, whoever wants them gone: a caller, or the retention of their log.
 */
export function trimStep(
  commit: Commit,
  { blocks }: Pick<Files, 'blocks'>,
  partition: Partition,
  before: number,
): boolean {
  const keys = [
    ...blocks.getKeys({
      start: blockKey(partition.id, 0),
      end: blockKey(partition.id, before),
      limit: TRIM_BLOCKS_MAX + 1,
    }),
  ];
  // A block ends where the next one starts; that of the last key is only known to the tail.
  const ends = keys.map((_key, at) => {
    const following = keys[at + 1];
    return following === undefined ? partition.endOfBlock(keys[at]) : positionOf(following) - 1;
  });
  const gone = keys.filter((_key, at) => at < TRIM_BLOCKS_MAX && (ends[at] ?? 0) < before);
  for (const key of gone) commit.remove('blocks', key);
  partition.first = Math.max(partition.first, before);
  writeTrimMark(commit, partition);
  commit.onDone(() => {
    partition.oldest = partition.readOldest();
  });
  return gone.length === TRIM_BLOCKS_MAX;
}

const positionOf = (key: Uint8Array): number => Buffer.from(key).readUIntBE(4, 6);
