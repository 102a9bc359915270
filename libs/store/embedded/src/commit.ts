import { MeshError, unavailable } from '@eventmesh/errors';
import { storeBusy } from '@eventmesh/store-api';
import { BlockBuilder, blockHead } from './block.ts';
import { blockKey, partitionKey, type Files, type Table } from './files.ts';
import { isDiskFull } from './lmdb-errors.ts';
import type { Partition } from './partition.ts';
import type { RightOfWay } from './right-of-way.ts';
import type { TailCache } from './tail-cache.ts';

/** Something to be made durable. */
export interface Work {
  /** Bytes that it holds while it waits. */
  readonly bytes: number;
  /** Somebody waits for a receipt, so readers of old records give way to it. */
  readonly append: boolean;
  /** Says what to write. Throws before it has changed anything, or not at all. */
  apply(commit: Commit): void;
  /** It is on disk. */
  done(): void;
  fail(error: MeshError): void;
}

/** A group commit being put together: everything in it is one LMDB transaction. */
export class Commit {
  readonly timeMs: number;
  readonly #files: Files;
  readonly #puts: { table: Table; key: Buffer; value: Buffer | undefined }[] = [];
  /** What this commit itself has written, for reads within it. */
  readonly #overlay = new Map<string, Buffer | undefined>();
  readonly #builders = new Map<Partition, BlockBuilder>();
  readonly #blocks: { partition: Partition; block: Buffer }[] = [];
  readonly touched = new Set<Partition>();
  readonly #afterwards: (() => void)[] = [];

  constructor(files: Files, timeMs: number) {
    this.#files = files;
    this.timeMs = timeMs;
  }

  put(
    name: 'logs' | 'trims' | 'tails' | 'producers' | 'sessions' | 'cursors',
    key: Buffer,
    value: Buffer,
  ): void {
    this.#puts.push({ table: this.#files[name], key, value });
    this.#overlay.set(`${name}:${key.toString('latin1')}`, value);
  }

  remove(name: 'blocks' | 'sessions' | 'cursors', key: Buffer): void {
    this.#puts.push({ table: this.#files[name], key, value: undefined });
    this.#overlay.set(`${name}:${key.toString('latin1')}`, undefined);
  }

  get(name: 'producers' | 'cursors', key: Buffer): Buffer | undefined {
    const own = `${name}:${key.toString('latin1')}`;
    return this.#overlay.has(own) ? this.#overlay.get(own) : this.#files[name].getBinary(key);
  }

  /** Adds a record to a partition and returns its position. */
  append(partition: Partition, record: Uint8Array, dedupKey: string): number {
    let builder = this.#builders.get(partition);
    if (builder === undefined) {
      this.touched.add(partition);
      builder = new BlockBuilder(partition.next);
      this.#builders.set(partition, builder);
    }
    builder.add(record, dedupKey);
    const position = partition.next++;
    if (builder.full) this.#close(partition, builder);
    return position;
  }

  /** Runs once it is on disk, before the works are told. */
  onDone(run: () => void): void {
    this.#afterwards.push(run);
  }

  /** Writes it all and resolves when it is on disk. */
  async write(): Promise<void> {
    for (const [partition, builder] of this.#builders) this.#close(partition, builder);
    if (this.#puts.length === 0) return;
    const writes: PromiseLike<unknown>[] = [];
    const batch = this.#files.env.batch(() => {
      for (const { table, key, value } of this.#puts) {
        writes.push(value === undefined ? table.remove(key) : table.put(key, value));
      }
    });
    // All of them end together; each is awaited because each rejects when the commit fails.
    await Promise.all([batch, ...writes]);
  }

  /** Lets readers see what was written. */
  publish(cache: TailCache): void {
    for (const { partition, block } of this.#blocks) {
      const head = blockHead(block);
      partition.oldest ??= head;
      partition.durable = head.last;
      if (partition.followers > 0) {
        cache.add({ ...head, partitionId: partition.id, block, records: undefined });
      }
    }
    for (const run of this.#afterwards) run();
    for (const partition of this.touched) partition.wake();
  }

  #close(partition: Partition, builder: BlockBuilder): void {
    this.#builders.delete(partition);
    partition.lastTimeMs = Math.max(this.timeMs, partition.lastTimeMs);
    const block = builder.close(partition.lastTimeMs, partition.bytesTotal);
    partition.bytesTotal += builder.bytes;
    this.#puts.push({
      table: this.#files.blocks,
      key: blockKey(partition.id, builder.first),
      value: block,
    });
    this.put('tails', partitionKey(partition.id), partition.tailMark());
    this.#blocks.push({ partition, block });
  }
}

const isAppend = ({ append }: Work): boolean => append;

const GROUP_BYTES_MAX = 4 * 1024 * 1024;

export interface CommitterOptions {
  /** Folder of the store. */
  readonly dir: string;
  readonly pendingBytesMax: number;
  readonly now: () => number;
  readonly cache: TailCache;
  readonly rightOfWay: RightOfWay;
  /** The commit failed and the disk is as it was before; memory has to follow. */
  readonly onRollback: () => void;
  /** The disk's state is unknown: nothing may be written any more. */
  readonly onFatal: (error: MeshError) => void;
}

/**
 * Group commit: what arrives while a commit is in flight becomes the next one. No timer: one idle
 * append is written at once, a busy stream in groups of up to 4 MiB.
 */
export class Committer {
  readonly #files: Files;
  readonly #options: CommitterOptions;
  #queue: Work[] = [];
  #pendingBytes = 0;
  #running: Promise<void> | undefined;
  #refusal: MeshError | undefined;

  constructor(files: Files, options: CommitterOptions) {
    this.#files = files;
    this.#options = options;
  }

  /** Why nothing is taken any more, if so. */
  get refusal(): MeshError | undefined {
    return this.#refusal;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  submit(work: Work): void {
    if (this.#refusal !== undefined) {
      work.fail(this.#refusal);
    } else if (this.#pendingBytes + work.bytes > this.#options.pendingBytesMax) {
      work.fail(storeBusy(this.#options.pendingBytesMax));
    } else {
      this.#pendingBytes += work.bytes;
      this.#queue.push(work);
      if (work.append) this.#options.rightOfWay.begin();
      this.#running ??= this.#run();
    }
  }

  /** Takes nothing more and waits for what is in flight. */
  async close(refusal: MeshError): Promise<void> {
    this.#refusal ??= refusal;
    await this.#running;
  }

  async #run(): Promise<void> {
    // What is submitted in the same turn goes into the same commit.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#commit(this.#takeGroup());
    this.#running = undefined;
  }

  #takeGroup(): Work[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && bytes < GROUP_BYTES_MAX) {
      bytes += this.#queue[count]?.bytes ?? 0;
      count++;
    }
    const group = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return group;
  }

  async #commit(group: Work[]): Promise<void> {
    const commit = new Commit(this.#files, this.#options.now());
    const applied: Work[] = [];
    const { rightOfWay, cache } = this.#options;
    for (const work of group) {
      try {
        work.apply(commit);
        applied.push(work);
      } catch (error) {
        this.#pendingBytes -= work.bytes;
        work.fail(MeshError.from(error));
      }
    }
    try {
      await commit.write();
      commit.publish(cache);
      for (const work of applied) {
        this.#pendingBytes -= work.bytes;
        work.done();
      }
    } catch (thrown) {
      const error = await this.#failed(thrown);
      for (const work of applied) {
        this.#pendingBytes -= work.bytes;
        work.fail(error);
      }
    } finally {
      // What has come during a commit of something else still waits for its own.
      if (group.some(isAppend)) rightOfWay.end(this.#queue.some(isAppend));
    }
  }

  async #failed(thrown: unknown): Promise<MeshError> {
    const cause = await commitCause(thrown);
    if (isDiskFull(cause, this.#options.dir)) {
      this.#options.onRollback();
      return new MeshError(
        'ResourceExhausted',
        'the disk of the store is full; nothing was stored',
        { reason: 'DISK_FULL', retryAfterMs: 5000 },
        cause,
      );
    }
    // After a failed sync the kernel may have dropped the pages: a retry would prove nothing.
    const error = unavailable('the store cannot write any more; see its log', cause);
    this.#refusal = error;
    for (const work of this.#queue.splice(0)) work.fail(error);
    this.#options.onFatal(error);
    return error;
  }
}

/** lmdb hides the reason in a promise that rejects. */
async function commitCause(thrown: unknown): Promise<unknown> {
  const hidden = (thrown as { commitError?: Promise<unknown> }).commitError;
  if (hidden === undefined) return thrown;
  try {
    await hidden;
    return thrown;
  } catch (cause) {
    return cause;
  }
}

/** Writes what a trim left behind beside the blocks it removes. */
export function writeTrimMark(commit: Commit, partition: Partition): void {
  commit.put('trims', partitionKey(partition.id), partition.trimMark());
}
