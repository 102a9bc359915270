import type { BlockHead } from './block.ts';

export interface CachedBlock extends BlockHead {
  readonly partitionId: number;
  readonly block: Buffer;
  /** Views of the block, made by the first reader and shared by all. */
  records: Buffer[] | undefined;
}

/**
 * The freshest blocks of partitions that somebody follows, so that a follower never touches the
 * disk. One budget for the whole store; the oldest block goes first.
 */
export class TailCache {
  readonly #bytesMax: number;
  readonly #blocks = new Map<number, CachedBlock[]>();
  #order: CachedBlock[] = [];
  #at = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(cached: CachedBlock): void {
    let blocks = this.#blocks.get(cached.partitionId);
    if (blocks === undefined) this.#blocks.set(cached.partitionId, (blocks = []));
    blocks.push(cached);
    this.#order.push(cached);
    this.#bytes += cached.block.length;
    while (this.#bytes > this.#bytesMax && this.#at < this.#order.length) this.#dropOldest();
  }

  /** The block with this position, or undefined when it is not in memory. */
  find(partitionId: number, position: number): CachedBlock | undefined {
    const blocks = this.#blocks.get(partitionId);
    if (blocks === undefined || position < (blocks[0]?.first ?? Infinity)) return undefined;
    let low = 0;
    let high = blocks.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const block = blocks[middle] as CachedBlock;
      if (position < block.first) high = middle - 1;
      else if (position > block.last) low = middle + 1;
      else return block;
    }
    return undefined;
  }

  /** Forgets a partition that nobody follows any more. */
  drop(partitionId: number): void {
    if (!this.#blocks.delete(partitionId)) return;
    this.#order = this.#order.slice(this.#at).filter((b) => b.partitionId !== partitionId);
    this.#at = 0;
    this.#bytes = this.#order.reduce((sum, { block }) => sum + block.length, 0);
  }

  #dropOldest(): void {
    const oldest = this.#order[this.#at] as CachedBlock;
    this.#at++;
    if (this.#at > 1024 && this.#at * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#at);
      this.#at = 0;
    }
    this.#bytes -= oldest.block.length;
    // The order over all partitions is also the order within one.
    this.#blocks.get(oldest.partitionId)?.shift();
  }
}
