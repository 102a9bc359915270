import { positionsMissing } from '@eventmesh/store-api';
import type { MsgRequest } from '@nats-io/jetstream';
import { noAnswer, replicaBehind } from './api-error.ts';
import { ask, Patience } from './ask.ts';
import type { Connection } from './connection.ts';
import type { Place } from './marks.ts';
import { StreamPull, type Delivered } from './stream-pull.ts';
import { probeConsumer, streamRange } from './streams.ts';

const READ_BYTES = 4 * 1024 * 1024;

/**
 * The headers of all records from one position to another, both included; what was trimmed is left
 * out. When a server or its leader goes in the middle, it is read on from there.
 *
 * @throws MeshError DataLoss when one is missing without a trim: the server passes over a record
 *   whose checksum is wrong and says nothing. Unavailable.
 */
export async function* storedHeaders(
  connection: Connection,
  place: Place,
  from: number,
  to: number,
): AsyncGenerator<readonly Delivered[]> {
  const patience = new Patience(connection);
  for (let next = from; next <= to;) {
    try {
      for await (const { delivered, upTo } of headersOnce(connection, place, next, to)) {
        next = upTo;
        patience.renew();
        yield delivered;
      }
    } catch (error) {
      await patience.pause(error);
    }
  }
}

/** The same by one consumer, with the position to go on from after each delivery. */
async function* headersOnce(
  connection: Connection,
  place: Place,
  from: number,
  to: number,
): AsyncGenerator<{ readonly delivered: readonly Delivered[]; readonly upTo: number }> {
  const pull = await StreamPull.open(connection, {
    stream: place.stream,
    subjects: [],
    from,
    bytesMax: READ_BYTES,
    headersOnly: true,
  });
  try {
    for (let next = from; next <= to;) {
      const delivered = await pull.next(undefined, true);
      if (pull.failed) throw noAnswer();
      if (delivered.length === 0) next = await trimmedUpTo(connection, place, next, to + 1);
      for (const { position } of delivered) {
        if (position > to) break;
        if (position > next) await trimmedUpTo(connection, place, next, position);
        next = position + 1;
      }
      yield { delivered: delivered.filter(({ position }) => position <= to), upTo: next };
    }
  } finally {
    pull.close();
  }
}

/**
 * What lies from `next` up to, not including, a position did not come. Answers that position when
 * all of it was trimmed.
 *
 * @throws MeshError DataLoss when it is damaged, Unavailable when only the replica that was asked
 *   does not have it (yet): to be read again.
 */
export async function trimmedUpTo(
  connection: Connection,
  { stream, log, partition }: Place,
  next: number,
  position: number,
): Promise<number> {
  for (;;) {
    const { first, last } = await streamRange(connection, stream);
    if (first >= position) return position;
    const missing = Math.max(first, next);
    // Whether a stream has lost its end is for the marks to say.
    if (missing > last) throw replicaBehind(missing);
    if (await leaderHas(connection, stream, missing)) throw replicaBehind(missing);
    // It may have been trimmed in between.
    const now = await streamRange(connection, stream);
    if (now.first <= missing) throw positionsMissing(log, partition, missing, position - 1);
  }
}

/** Asks the leader of the stream, which a consumer on another replica may lag behind. */
export async function leaderHas(
  connection: Connection,
  stream: string,
  position: number,
): Promise<boolean> {
  return (await leaderGives(connection, stream, { seq: position })) !== undefined;
}

/**
 * The position of what the leader answers to a query; undefined when it says that it has none. A
 * server without a leader answers too, with an error: it knows nothing, and that is no such answer.
 */
async function leaderGives(
  connection: Connection,
  stream: string,
  query: MsgRequest,
): Promise<number | undefined> {
  const found = await ask(connection, () => connection.jsm.streams.getMessage(stream, query));
  return found?.seq;
}

/**
 * Asks the leader whether none of the records from one position to another, both included, is of
 * these subjects: a consumer on a replica that lags finds none either.
 *
 * @throws MeshError Unavailable when there is one: to be read again.
 */
export async function nothingOf(
  connection: Connection,
  stream: string,
  subjects: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  if (from > to || !(await isReplicated(connection, stream))) return;
  for (const subject of subjects) {
    // A damaged one, which the leader does not give either, is the census's to find.
    const query = { seq: from, next_by_subj: subject };
    const position = (await leaderGives(connection, stream, query)) ?? Infinity;
    if (position <= to) throw replicaBehind(position);
  }
}

async function isReplicated(connection: Connection, stream: string): Promise<boolean> {
  const { config } = await ask(connection, () => connection.jsm.streams.info(stream));
  return config.num_replicas > 1;
}

/** How many records from a position on the server would deliver to a reader with these filters. */
export async function countFrom(
  connection: Connection,
  stream: string,
  from: number,
  subjects: readonly string[],
): Promise<number> {
  const { num_pending: count } = await probeConsumer(connection, stream, {
    deliver_policy: 'by_start_sequence' as never,
    opt_start_seq: from,
    filter_subjects: [...subjects],
  });
  return count;
}
