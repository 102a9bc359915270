import { blockHead } from './block.ts';
import type { Partition } from './partition.ts';

/** Blocks looked at in one step. */
const STEP_BLOCKS_MAX = 64;

/** First position to keep by age; a block goes when its records, stored together, are too old. */
export function expiredUpTo(partition: Partition, nowMs: number): number {
  const { retentionMs } = partition.spec;
  if (retentionMs === 0 || partition.oldest === undefined) return partition.first;
  if (partition.oldest.timeMs >= nowMs - retentionMs) return partition.first;
  return partition.positionAtTime(nowMs - retentionMs);
}

/** First position to keep by bytes: what stays is at least `retentionBytes`, by whole blocks. */
export function overflowUpTo(partition: Partition): number {
  const { retentionBytes } = partition.spec;
  let head = partition.oldest;
  let before = partition.first;
  for (let step = 0; step < STEP_BLOCKS_MAX && head !== undefined; step++) {
    const kept = partition.bytesTotal - head.bytesBefore - head.bytes;
    if (kept < retentionBytes) break;
    before = head.last + 1;
    const following = before > partition.durable ? undefined : partition.blockAt(before);
    head = following === undefined ? undefined : blockHead(following);
  }
  return before;
}
