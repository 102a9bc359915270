import { MeshError, unavailable } from '@eventmesh/errors';
import { positionsMissing } from '@eventmesh/store-api';
import { apiCode, API_ERROR, fromJetStream, isAnswer, type Connection } from './connection.ts';
import type { Place } from './marks.ts';
import { StreamPull, type Delivered } from './stream-pull.ts';
import { streamRange } from './streams.ts';

const READ_BYTES = 4 * 1024 * 1024;
const MS_TO_NS = 1_000_000;

/**
 * The headers of all records from one position to another, both included; what was trimmed is left
 * out.
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
  if (from > to) return;
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
      if (pull.failed) throw unavailable('the log could not be read');
      if (delivered.length === 0) next = await trimmedUpTo(connection, place, next, to + 1);
      for (const { position } of delivered) {
        if (position > to) break;
        if (position > next) await trimmedUpTo(connection, place, next, position);
        next = position + 1;
      }
      yield delivered.filter(({ position }) => position <= to);
    }
  } finally {
    await pull.close();
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
  const { first } = await streamRange(connection, stream);
  if (first >= position) return position;
  const missing = Math.max(first, next);
  if (await leaderHas(connection, stream, missing)) {
    throw unavailable(`position ${missing} is stored, but a replica did not give it`);
  }
  throw positionsMissing(log, partition, missing, position - 1);
}

/** Asks the leader of the stream, which a consumer on another replica may lag behind. */
async function leaderHas(
  connection: Connection,
  stream: string,
  position: number,
): Promise<boolean> {
  connection.checkUp();
  try {
    return (await connection.jsm.streams.getMessage(stream, { seq: position })) !== null;
  } catch (error) {
    // Anything but an answer of the leader leaves it open.
    if (!isAnswer(error)) throw unavailable('JetStream did not give a record', error);
    return false;
  }
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
    const position = await nextOf(connection, stream, subject, from);
    if (position <= to) {
      throw unavailable(`position ${position} is stored, but a replica did not give it`);
    }
  }
}

async function isReplicated(connection: Connection, stream: string): Promise<boolean> {
  connection.checkUp();
  try {
    return (await connection.jsm.streams.info(stream)).config.num_replicas > 1;
  } catch (error) {
    throw fromJetStream(error);
  }
}

/** Infinity when there is none. */
async function nextOf(
  connection: Connection,
  stream: string,
  subject: string,
  from: number,
): Promise<number> {
  connection.checkUp();
  try {
    const query = { seq: from, next_by_subj: subject };
    return (await connection.jsm.streams.getMessage(stream, query))?.seq ?? Infinity;
  } catch (error) {
    if (!isAnswer(error)) throw unavailable('JetStream did not give a record', error);
    return Infinity; // A damaged one is the census's to find.
  }
}

/** How many records from a position on the server would deliver to a reader with these filters. */
export async function countFrom(
  connection: Connection,
  stream: string,
  from: number,
  subjects: readonly string[],
): Promise<number> {
  connection.checkUp();
  const { consumers } = connection.jsm;
  try {
    const { name, num_pending: count } = await consumers.add(stream, {
      name: `count-${crypto.randomUUID()}`,
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence' as never,
      opt_start_seq: from,
      filter_subjects: [...subjects],
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: 5000 * MS_TO_NS,
    });
    await consumers.delete(stream, name);
    return count;
  } catch (error) {
    if (apiCode(error) === API_ERROR.streamNotFound) {
      throw new MeshError('NotFound', `the stream ${stream} is gone`, {}, error);
    }
    throw unavailable('JetStream did not count', error);
  }
}
