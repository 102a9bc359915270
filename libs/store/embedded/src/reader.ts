import { invalid } from '@eventmesh/errors';
import { storeClosed, wantsRecord, type ReadItem, type ReadOptions } from '@eventmesh/store-api';
import { blockHead, blockRecords } from './block.ts';
import { fromLmdb } from './lmdb-errors.ts';
import type { Partition } from './partition.ts';
import type { RightOfWay } from './right-of-way.ts';
import type { TailCache } from './tail-cache.ts';

/** Most bytes of records in one batch, when the consumer allows that many. */
const BATCH_BYTES_MAX = 256 * 1024;
const READ_AHEAD_BYTES = 4 * 1024 * 1024;

interface Source {
  readonly partition: Partition;
  readonly cache: TailCache;
  readonly rightOfWay: RightOfWay;
  readonly dir: string;
  readonly closed: () => boolean;
}

interface OpenBlock {
  readonly first: number;
  readonly last: number;
  readonly records: readonly Buffer[];
}

/**
 * Reads a partition block by block. There is no read-ahead: the next block is one memory access
 * away, so that a consumer which stops costs nothing.
 */
export function readPartition(source: Source, options: ReadOptions): AsyncIterable<ReadItem> {
  const { partition } = source;
  const asked = startPosition(partition, options);
  const end = options.stopAtEnd === true ? partition.durable : Infinity;
  return iterate(source, options, asked, end);
}

async function* iterate(
  source: Source,
  options: ReadOptions,
  asked: number,
  end: number,
): AsyncGenerator<ReadItem> {
  const { partition, cache, rightOfWay } = source;
  const bytesMax = Math.min(BATCH_BYTES_MAX, options.readAheadBytes ?? READ_AHEAD_BYTES);
  let next = asked;
  let open: OpenBlock | undefined;
  partition.followers++;
  try {
    yield { kind: 'opened', position: Math.max(asked, partition.first) };
    for (;;) {
      if (options.signal?.aborted === true) return;
      if (source.closed()) throw storeClosed();
      if (next < partition.first) {
        const to = Math.min(partition.first - 1, end);
        yield { kind: 'gap', from: next, to };
        next = partition.first;
        open = undefined;
      } else if (next > end) {
        return;
      } else if (next > partition.durable) {
        await news(partition, options.signal);
      } else {
        const near = memorised(partition, cache, next, open);
        // What is in memory is fresh, and somebody waits for it as for a receipt.
        const wait = near === undefined ? rightOfWay.pass() : undefined;
        if (wait !== undefined) {
          await wait;
          // It may be trimmed meanwhile.
          continue;
        }
        open = near ?? loadBlock(partition, next);
        const upTo = Math.min(open.last, end);
        const batch = takeBatch(open, next, upTo, bytesMax, options.topicFilters ?? []);
        next = batch.upTo + 1;
        yield batch;
      }
    }
  } catch (error) {
    throw fromLmdb(error, source.dir);
  } finally {
    partition.followers--;
    if (partition.followers === 0) cache.drop(partition.id);
  }
}

function startPosition(partition: Partition, { from }: ReadOptions): number {
  switch (from.kind) {
    case 'position':
      if (!Number.isSafeInteger(from.position) || from.position < 0) {
        throw invalid('from.position', `${from.position} is not a position`);
      }
      return from.position === 0 ? partition.first : from.position;
    case 'time':
      return partition.positionAtTime(from.timeMs);
    case 'tail':
      return partition.durable + 1;
  }
}

function memorised(
  partition: Partition,
  cache: TailCache,
  position: number,
  open: OpenBlock | undefined,
): OpenBlock | undefined {
  if (open !== undefined && position >= open.first && position <= open.last) return open;
  const cached = cache.find(partition.id, position);
  if (cached === undefined) return undefined;
  cached.records ??= blockRecords(cached.block);
  return { first: cached.first, last: cached.last, records: cached.records };
}

function loadBlock(partition: Partition, position: number): OpenBlock {
  const block = partition.blockAt(position);
  const head = block === undefined ? undefined : blockHead(block);
  if (block === undefined || head === undefined || head.last < position || head.first > position) {
    throw partition.missing(position);
  }
  return { first: head.first, last: head.last, records: blockRecords(block) };
}

function takeBatch(
  block: OpenBlock,
  from: number,
  upTo: number,
  bytesMax: number,
  filters: readonly string[],
): ReadItem & { kind: 'batch' } {
  const positions: number[] = [];
  const records: Buffer[] = [];
  let bytes = 0;
  let position = from;
  for (; position <= upTo; position++) {
    const record = block.records[position - block.first] as Buffer;
    if (!wantsRecord(filters, record)) continue;
    if (records.length > 0 && bytes + record.length > bytesMax) break;
    bytes += record.length;
    positions.push(position);
    records.push(record);
  }
  return { kind: 'batch', positions, records, upTo: position - 1 };
}

/** Resolves when there may be more to read, or when the reader should look why not. */
function news(partition: Partition, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = partition.onWake(done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
