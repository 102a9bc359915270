import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, invalid } from '@eventmesh/errors';
import { wantsRecord, type ReadItem, type ReadOptions } from '@eventmesh/store-api';
import type { Connection } from './connection.ts';
import { decodeHeaders, joinRecord } from './message.ts';
import { headerReader } from './raw-message.ts';
import { StreamPull, type Delivered } from './stream-pull.ts';
import { positionAtTime, streamRange } from './streams.ts';
import { filterSubjects } from './subjects.ts';

const READ_AHEAD_BYTES = 4 * 1024 * 1024;
const BATCH_BYTES_MAX = 256 * 1024;
const RETRY_MS_MAX = 2000;
/** How often a filtered reader that lags asks what was trimmed before it got there. */
const TRIM_CHECK_MS = 1000;

interface Source {
  readonly connection: Connection;
  readonly stream: string;
  /** Subject of the partition, without the tenant. */
  readonly base: string;
}

/** Reads one partition; survives reconnects and restarts of the server. */
export async function* readStream(source: Source, options: ReadOptions): AsyncGenerator<ReadItem> {
  const { connection, stream } = source;
  const filters = options.topicFilters ?? [];
  const subjects = filters.length === 0 ? [] : filterSubjects(source.base, filters);
  const range = await streamRange(connection, stream);
  const asked = await startPosition(source, options, range);
  const end = options.stopAtEnd === true ? range.last : Infinity;
  const walk = new Walk(asked, end, filters, options.readAheadBytes ?? READ_AHEAD_BYTES);
  yield { kind: 'opened', position: Math.max(asked, range.first) };
  yield* walk.trimmed(range.first);
  for (let retryMs = 100; !walk.done && options.signal?.aborted !== true;) {
    let pull: StreamPull | undefined;
    try {
      pull = await StreamPull.open(connection, {
        stream,
        subjects,
        from: walk.next,
        bytesMax: walk.bytesMax,
      });
      retryMs = 100;
      yield* follow(source, walk, pull, subjects.length > 0, options.signal);
    } catch (error) {
      // The consumer's own retry: as long as the store is open, a reader waits for its server.
      if (!(error instanceof MeshError) || error.code !== 'Unavailable') throw error;
      if (connection.closed) throw error;
      await sleep(retryMs * (0.5 + Math.random() / 2));
      retryMs = Math.min(RETRY_MS_MAX, retryMs * 2);
    } finally {
      await pull?.close();
    }
  }
}

async function startPosition(
  { connection, stream }: Source,
  { from }: ReadOptions,
  range: { readonly first: number; readonly last: number },
): Promise<number> {
  if (from.kind === 'tail') return range.last + 1;
  if (from.kind === 'time') return positionAtTime(connection, stream, from.timeMs);
  if (!Number.isSafeInteger(from.position) || from.position < 0) {
    throw invalid('from.position', `${from.position} is not a position`);
  }
  return from.position === 0 ? range.first : from.position;
}

/** Yields what one consumer gives, until it fails or the walk is done. */
async function* follow(
  { connection, stream }: Source,
  walk: Walk,
  pull: StreamPull,
  filtered: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadItem> {
  let pending = pull.pendingAtStart;
  let checkedMs = Date.now();
  while (!walk.done && !pull.failed && signal?.aborted !== true) {
    if (filtered && pending === 0 && walk.end !== Infinity) {
      yield* walk.lookedAt(walk.end);
      return;
    }
    if (filtered && pending > 0 && Date.now() - checkedMs > TRIM_CHECK_MS) {
      yield* walk.trimmed((await streamRange(connection, stream)).first);
      checkedMs = Date.now();
    }
    // Asked before the pull: when that finds nothing, everything up to here was looked at.
    const last = filtered && pending === 0 ? (await streamRange(connection, stream)).last : 0;
    const delivered = await pull.next(signal);
    if (connection.closed) connection.checkUp();
    if (delivered.length === 0) {
      if (!pull.failed && last > 0) yield* walk.lookedAt(last);
      continue;
    }
    pending = delivered.at(-1)?.pending ?? 0;
    yield* walk.take(delivered, filtered);
  }
}

/** How far a reader is, and what it makes of what comes. */
class Walk {
  next: number;
  readonly end: number;
  readonly bytesMax: number;
  readonly #filters: readonly string[];

  constructor(next: number, end: number, filters: readonly string[], bytesMax: number) {
    this.next = next;
    this.end = end;
    this.bytesMax = bytesMax;
    this.#filters = filters;
  }

  get done(): boolean {
    return this.next > this.end;
  }

  /** A gap when positions that are still wanted are gone. */
  *trimmed(first: number): Generator<ReadItem> {
    if (first <= this.next) return;
    yield { kind: 'gap', from: this.next, to: Math.min(first - 1, this.end) };
    this.next = first;
  }

  /** An empty batch that tells how far was looked. */
  *lookedAt(upTo: number): Generator<ReadItem> {
    if (upTo < this.next) return;
    yield { kind: 'batch', positions: [], records: [], upTo };
    this.next = upTo + 1;
  }

  *take(delivered: readonly Delivered[], filtered: boolean): Generator<ReadItem> {
    const bytesMax = Math.min(BATCH_BYTES_MAX, this.bytesMax);
    let positions: number[] = [];
    let records: Buffer[] = [];
    let bytes = 0;
    const flush = function* (walk: Walk, upTo: number): Generator<ReadItem> {
      if (upTo < walk.next) return;
      const batch = { positions, records };
      positions = [];
      records = [];
      bytes = 0;
      walk.next = upTo + 1;
      yield { kind: 'batch', ...batch, upTo };
    };
    let upTo = this.next - 1;
    for (const { position, message } of delivered) {
      if (position < this.next || this.done) continue;
      if (position > this.end) {
        yield* flush(this, this.end);
        return;
      }
      // Positions have no holes: without a filter, what does not come was trimmed.
      if (!filtered && position > upTo + 1) {
        yield* flush(this, upTo);
        yield* this.trimmed(position);
      }
      const record = joinRecord(decodeHeaders(headerReader(message)), message.data);
      if (wantsRecord(this.#filters, record)) {
        if (records.length > 0 && bytes + record.length > bytesMax) yield* flush(this, upTo);
        positions.push(position);
        records.push(record);
        bytes += record.length;
      }
      upTo = position;
    }
    yield* flush(this, upTo);
  }
}
