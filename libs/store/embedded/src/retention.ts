import { blockHead } from './block.ts';
import type { Committer } from './commit.ts';
import type { Files } from './files.ts';
import type { Logs } from './logs.ts';
import type { Partition } from './partition.ts';
import { trimStep } from './trim.ts';

/** Blocks looked at in one step. */
const STEP_BLOCKS_MAX = 64;

export interface RetentionParts {
  readonly files: Files;
  readonly logs: Logs;
  readonly committer: Committer;
  readonly now: () => number;
}

/**
 * What a store removes by itself, in steps of its own beside the appends: nobody waits for it, and
 * what a step leaves is done by the next one.
 */
export class Retention {
  readonly #parts: RetentionParts;
  readonly #timer: NodeJS.Timeout;

  /** @param intervalMs Between two looks at the age of all partitions. */
  constructor(parts: RetentionParts, intervalMs: number) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#expire(), intervalMs);
    this.#timer.unref();
  }

  /** By bytes, of one partition that has grown beyond them. */
  retain(partition: Partition): void {
    const before = overflowUpTo(partition);
    if (before > partition.first) this.#trim(partition, before);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #expire(): void {
    const { logs, now } = this.#parts;
    for (const partition of logs.partitions()) {
      const before = expiredUpTo(partition, now());
      if (before > partition.first) this.#trim(partition, before);
    }
  }

  /** One step; its failure is that of the appends beside it, which report it. */
  #trim(partition: Partition, before: number): void {
    const { files, committer } = this.#parts;
    committer.submit({
      bytes: 0,
      append: false,
      apply: (commit) => {
        trimStep(commit, files, partition, before);
      },
      done: () => undefined,
      fail: () => undefined,
    });
  }
}

/** First position to keep by age; a block goes when its records, stored together, are too old. */
function expiredUpTo(partition: Partition, nowMs: number): number {
  const { retentionMs } = partition.spec;
  if (retentionMs === 0 || partition.oldest === undefined) return partition.first;
  if (partition.oldest.timeMs >= nowMs - retentionMs) return partition.first;
  return partition.positionAtTime(nowMs - retentionMs);
}

/** First position to keep by bytes: what stays is at least `retentionBytes`, by whole blocks. */
function overflowUpTo(partition: Partition): number {
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
