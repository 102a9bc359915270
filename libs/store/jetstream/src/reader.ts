import { MeshError, invalid } from '@eventmesh/errors';
import type { ReadItem, ReadOptions } from '@eventmesh/store-api';
import { Backoff, pause } from '@eventmesh/time';
import { Census } from './census.ts';
import type { Connection } from './connection.ts';
import type { Marks, Place } from './marks.ts';
import { nothingOf, trimmedUpTo } from './stored.ts';
import { StreamPull, type Delivered } from './stream-pull.ts';
import { positionAtTime, streamRange } from './streams.ts';
import { filterSubjects } from './subjects.ts';
import { Walk } from './walk.ts';

const READ_AHEAD_BYTES = 4 * 1024 * 1024;
/** First and longest pause before the next attempt, in ms; each is jittered. */
const RETRY_MS = 100;
const RETRY_MS_MAX = 2000;
/** How often a filtered reader that lags asks what was trimmed before it got there. */
const TRIM_CHECK_MS = 1000;

interface Source {
  readonly connection: Connection;
  readonly marks: Marks;
  readonly place: Place;
  /** Subject of the partition, without the tenant. */
  readonly base: string;
}

/** Reads one partition; survives reconnects and restarts of the server. */
export async function* readStream(source: Source, options: ReadOptions): AsyncGenerator<ReadItem> {
  const { connection, place, marks } = source;
  const { stream } = place;
  const filters = options.topicFilters ?? [];
  const subjects = filters.length === 0 ? [] : filterSubjects(source.base, filters);
  await marks.check(place);
  const range = await streamRange(connection, stream);
  const asked = await startPosition(source, options, range);
  const end = options.stopAtEnd === true ? range.last : Infinity;
  const walk = new Walk(asked, end, filters, options.readAheadBytes ?? READ_AHEAD_BYTES);
  yield { kind: 'opened', position: Math.max(asked, range.first) };
  yield* walk.trimmed(range.first);
  const backoff = new Backoff({ baseMs: RETRY_MS, maxMs: RETRY_MS_MAX });
  while (!walk.done && options.signal?.aborted !== true) {
    let pull: StreamPull | undefined;
    try {
      // A server that was away may come back with less than it had.
      await marks.check(place);
      pull = await StreamPull.open(connection, {
        stream,
        subjects,
        from: walk.next,
        bytesMax: walk.bytesMax,
      });
      backoff.reset();
      yield* subjects.length === 0
        ? follow(source, walk, pull, options.signal)
        : followFiltered(source, walk, pull, subjects, options.signal);
    } catch (error) {
      // The consumer's own retry: as long as the store is open, a reader waits for its server.
      if (!(error instanceof MeshError) || error.code !== 'Unavailable') throw error;
      if (connection.closed) throw error;
      await pause(backoff.nextMs());
    } finally {
      pull?.close();
    }
  }
}

async function startPosition(
  { connection, place: { stream } }: Source,
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
  { connection, place }: Source,
  walk: Walk,
  pull: StreamPull,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadItem> {
  // What is known to be stored and has to come, unless it is trimmed before.
  let due = walk.end === Infinity ? 0 : walk.end;
  const stopped = () => pull.failed || signal?.aborted === true;
  while (!walk.done && !stopped()) {
    const delivered = await pull.next(signal, due >= walk.next);
    if (connection.closed) connection.checkUp();
    if (delivered.length > 0) {
      const { whole, damage } = await upToDamage(connection, place, walk, delivered);
      yield* walk.take(whole, false);
      if (damage !== undefined) throw damage;
    } else if (!stopped()) {
      if (due >= walk.next) {
        yield* walk.trimmed(await trimmedUpTo(connection, place, walk.next, due + 1));
      }
      due = Math.min(walk.end, (await streamRange(connection, place.stream)).last);
    }
  }
}

/** The same through filters, where what does not come may just not match. */
async function* followFiltered(
  { connection, place }: Source,
  walk: Walk,
  pull: StreamPull,
  subjects: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadItem> {
  const { stream } = place;
  const census = await Census.open(connection, place, walk.next, subjects);
  let pending = pull.pendingAtStart;
  let checkedMs = Date.now();
  const stopped = () => pull.failed || signal?.aborted === true;
  while (!walk.done && !stopped()) {
    if (pending === 0 && walk.end !== Infinity) {
      await nothingOf(connection, stream, subjects, { from: walk.next, to: walk.end });
      yield* walk.lookedAt(walk.end);
      return;
    }
    if (pending > 0 && Date.now() - checkedMs > TRIM_CHECK_MS) {
      yield* walk.trimmed((await streamRange(connection, stream)).first);
      checkedMs = Date.now();
    }
    // Asked before the pull: when that finds nothing, everything up to here was looked at.
    const last = pending === 0 ? (await streamRange(connection, stream)).last : 0;
    const delivered = await pull.next(signal, pending > 0);
    if (connection.closed) connection.checkUp();
    if (delivered.length > 0) {
      pending = delivered.at(-1)?.pending ?? 0;
      yield* walk.take(delivered, true);
      await census.passed(delivered.at(-1)?.position ?? 0, pending);
    } else if (!stopped()) {
      await nothingOf(connection, stream, subjects, { from: walk.next, to: last });
      if (last > 0) yield* walk.lookedAt(last);
      // The server counts on records that it does not deliver: trimmed meanwhile, or damaged.
      if (pending > 0) await census.scan();
      pending = 0;
    }
  }
}

/** What of a delivery comes before the first position that is missing without a trim. */
async function upToDamage(
  connection: Connection,
  place: Place,
  walk: Walk,
  delivered: readonly Delivered[],
): Promise<{ whole: readonly Delivered[]; damage?: MeshError }> {
  let { next } = walk;
  for (const [index, { position }] of delivered.entries()) {
    if (position > walk.end) break;
    if (position < next) continue;
    try {
      if (position > next) await trimmedUpTo(connection, place, next, position);
    } catch (error) {
      const damage = MeshError.from(error);
      return { whole: delivered.slice(0, index), damage };
    }
    next = position + 1;
  }
  return { whole: delivered };
}
