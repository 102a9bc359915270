import type { MeshError } from '@eventmesh/errors';
import {
  DuplicateWindow,
  ProducerSessions,
  positionsMissing,
  seal,
  unseal,
  type LogSpec,
  type PartitionInfo,
  type SessionState,
} from '@eventmesh/store-api';
import { blockHead, blockKeys, checkBlock, type BlockHead } from './block.ts';
import { blockKey, namedEntries, partitionKey, type Files } from './files.ts';

/** What is left of a partition whose blocks may all be gone. */
interface TrimMark {
  readonly first: number;
  readonly bytesTotal: number;
  readonly timeMs: number;
}

/** The last position that was written, also when its block is gone. */
interface TailMark {
  readonly last: number;
}

const HIGHEST = 2 ** 48 - 1;

/**
 * What is known in memory of one partition. `next` runs ahead of `durable` while a commit is in
 * flight; readers see nothing above `durable`.
 */
export class Partition {
  readonly id: number;
  readonly index: number;
  spec: LogSpec;
  /** First position still to be read. */
  first = 1;
  next = 1;
  durable = 0;
  /** Bytes of all records ever appended. */
  bytesTotal = 0;
  lastTimeMs = 0;
  /** The oldest block on disk. */
  oldest: BlockHead | undefined;
  /** Readers that are open; while there are none, nothing is cached for them. */
  followers = 0;
  readonly #files: Files;
  readonly #waiting = new Set<() => void>();
  #window: DuplicateWindow | undefined;
  #sessions: ProducerSessions | undefined;

  constructor(files: Files, id: number, index: number, spec: LogSpec) {
    this.#files = files;
    this.id = id;
    this.index = index;
    this.spec = spec;
    this.load();
  }

  /**
   * Takes everything from disk, at open and after a commit that failed.
   *
   * @throws MeshError DataLoss when the newest block is damaged or not to be found.
   */
  load(): void {
    const mark = this.#trimMark();
    const newest = this.#newestBlock();
    const last = newest === undefined ? undefined : checkBlock(newest, this.#where(newest));
    this.oldest = this.readOldest();
    this.first = Math.max(mark.first, this.oldest?.first ?? 1);
    this.next = last === undefined ? mark.first : last.last + 1;
    this.durable = this.next - 1;
    this.#checkTail();
    this.bytesTotal = last === undefined ? mark.bytesTotal : last.bytesBefore + last.bytes;
    this.lastTimeMs = last?.timeMs ?? mark.timeMs;
    this.#window = undefined;
    this.#sessions = undefined;
  }

  get info(): PartitionInfo {
    return {
      partition: this.index,
      first: this.first,
      last: this.durable,
      bytes: this.bytes,
    };
  }

  /** Bytes of the records on disk; whole blocks, so a trim within one does not show. */
  get bytes(): number {
    return this.oldest === undefined ? 0 : this.bytesTotal - this.oldest.bytesBefore;
  }

  /** The duplicate window, read back from the tail the first time it is asked for. */
  get window(): DuplicateWindow {
    this.#window ??= this.#readWindow();
    return this.#window;
  }

  /** The sessions of idempotent producers, read back the first time one appends. */
  get sessions(): ProducerSessions {
    this.#sessions ??= new ProducerSessions(this.#readSessions());
    return this.#sessions;
  }

  forgetWindow(): void {
    this.#window = undefined;
  }

  /** The block that has a position, or the nearest one below; checked. */
  blockAt(position: number): Buffer | undefined {
    // A block found by its own first position is the usual case: readers go on block by block.
    const exact = this.#files.blocks.getBinary(blockKey(this.id, position));
    if (exact !== undefined) return this.#checked(exact);
    for (const { value } of this.#files.blocks.getRange({
      start: blockKey(this.id, position),
      end: blockKey(this.id, 0),
      reverse: true,
      limit: 1,
    })) {
      return this.#checked(value);
    }
    return undefined;
  }

  /** Last position of the block with this key; 0 when there is none. */
  endOfBlock(key: Uint8Array | undefined): number {
    const block = key === undefined ? undefined : this.#files.blocks.getBinary(Buffer.from(key));
    return block === undefined ? 0 : blockHead(block).last;
  }

  /** The error for a position that should be there and is not. */
  missing(position: number): MeshError {
    return positionsMissing(this.spec.name, this.index, position, position);
  }

  readOldest(): BlockHead | undefined {
    for (const { value } of this.#files.blocks.getRange({
      start: blockKey(this.id, 0),
      end: blockKey(this.id, HIGHEST),
      limit: 1,
    })) {
      return blockHead(value);
    }
    return undefined;
  }

  /** First position stored at or after a time; one past the last when there is none. */
  positionAtTime(timeMs: number): number {
    let low = this.first;
    let high = this.durable + 1;
    while (low < high) {
      const block = this.blockAt(Math.floor((low + high) / 2));
      if (block === undefined) return low;
      const head = blockHead(block);
      if (head.timeMs >= timeMs) high = Math.min(high, Math.max(head.first, low));
      else low = head.last + 1;
    }
    return low;
  }

  trimMark(): Buffer {
    const { first, bytesTotal, lastTimeMs } = this;
    const mark: TrimMark = { first, bytesTotal, timeMs: lastTimeMs };
    return seal(mark);
  }

  /** Wakes readers that wait: for something new, or for the store to close. */
  wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Calls back once at the next `wake`; the result cancels that. */
  onWake(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  #trimMark(): TrimMark {
    const bytes = this.#files.trims.getBinary(partitionKey(this.id));
    if (bytes === undefined) return { first: 1, bytesTotal: 0, timeMs: 0 };
    return unseal<TrimMark>(bytes, `the trim mark of ${this.#name}`);
  }

  tailMark(): Buffer {
    const mark: TailMark = { last: this.next - 1 };
    return seal(mark);
  }

  /** LMDB has no checksums: a damaged page of its own can hide blocks, and what is not found looks new. */
  #checkTail(): void {
    const bytes = this.#files.tails.getBinary(partitionKey(this.id));
    // Files of older versions have none.
    if (bytes === undefined) return;
    const { last } = unseal<TailMark>(bytes, `the tail mark of ${this.#name}`);
    if (this.durable < last) {
      throw positionsMissing(this.spec.name, this.index, this.durable + 1, last);
    }
  }

  #newestBlock(): Buffer | undefined {
    for (const { value } of this.#files.blocks.getRange({
      start: blockKey(this.id, HIGHEST),
      end: blockKey(this.id, 0),
      reverse: true,
      limit: 1,
    })) {
      return value;
    }
    return undefined;
  }

  #readWindow(): DuplicateWindow {
    const window = new DuplicateWindow(this.spec.duplicateWindow);
    const newestFirst: { key: string; position: number }[] = [];
    for (let at = this.next - 1; at >= this.first && newestFirst.length < window.size;) {
      const block = this.blockAt(at);
      if (block === undefined) break;
      const head = blockHead(block);
      const keys = blockKeys(block);
      for (let i = keys.length - 1; i >= 0 && newestFirst.length < window.size; i--) {
        const key = keys[i] ?? '';
        if (key !== '') newestFirst.push({ key, position: head.first + i });
      }
      at = head.first - 1;
    }
    for (const { key, position } of newestFirst.reverse()) window.add(key, position);
    return window;
  }

  *#readSessions(): Generator<[string, SessionState]> {
    for (const [id, value] of namedEntries(this.#files.sessions, this.id)) {
      yield [id, unseal<SessionState>(value, `the session of "${id}" in ${this.#name}`)];
    }
  }

  #checked(block: Buffer): Buffer {
    checkBlock(block, this.#where(block));
    return block;
  }

  #where(block: Buffer): string {
    const position = block.length >= 14 ? block.readUIntBE(8, 6) : '?';
    return `${this.#name}, position ${position}`;
  }

  get #name(): string {
    return `log "${this.spec.name}", partition ${this.index}`;
  }
}
