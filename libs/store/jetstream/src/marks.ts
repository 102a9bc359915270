import { MeshError } from '@eventmesh/errors';
import type { Connection } from './connection.ts';
import { KvBucket } from './kv-bucket.ts';
import type { StateBucket } from './state.ts';
import { leaderHas } from './stored.ts';
import { streamRange, type StreamRange } from './streams.ts';
import { logToken } from './subjects.ts';

/** How often marks are put down: what was acknowledged since may be cut off unnoticed. */
const SAVE_MS = 1000;
const STATE_KEY = 'state';

/** The positions of a log's partitions that were acknowledged, by index. */
type Positions = readonly number[];

/** A stream and what it is to people. */
export interface Place {
  readonly stream: string;
  readonly log: string;
  readonly partition: number;
}

/**
 * How far each stream had come when it was last acknowledged, kept in a bucket of its own. A server
 * that finds a damaged record when it starts drops that one and all behind it, and gives their
 * sequences to new records: only these marks tell.
 */
export class Marks {
  readonly #connection: Connection;
  readonly #bucket: KvBucket;
  readonly #state: StateBucket;
  readonly #stateStream: string;
  /** By log: what this process knows to be acknowledged. */
  readonly #acked = new Map<string, number[]>();
  readonly #unsaved = new Set<string>();
  #savedState = 0;
  /** Streams found whole since the connection was made. */
  readonly #whole = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #saving = false;

  static async open(
    connection: Connection,
    prefix: string,
    replicas: number,
    state: StateBucket,
  ): Promise<Marks> {
    const bucket = await KvBucket.open(connection, `${prefix}-marks`, replicas);
    return new Marks(connection, bucket, state, `KV_${prefix}-state`);
  }

  private constructor(
    connection: Connection,
    bucket: KvBucket,
    state: StateBucket,
    stateStream: string,
  ) {
    this.#connection = connection;
    this.#bucket = bucket;
    this.#state = state;
    this.#stateStream = stateStream;
    connection.onLost(() => this.#whole.clear());
    this.#timer = setInterval(() => {
      // What could not be put down now is a second later.
      if (connection.up && !this.#saving) this.#saveInTime().catch(() => undefined);
    }, SAVE_MS);
    this.#timer.unref();
  }

  /** Notes that everything up to a position is acknowledged. */
  note({ log, partition }: Place, position: number): void {
    const acked = this.#acked.get(log) ?? [];
    this.#acked.set(log, acked);
    if ((acked[partition] ?? 0) >= position) return;
    acked[partition] = position;
    this.#unsaved.add(log);
  }

  async save(): Promise<void> {
    for (const log of [...this.#unsaved]) {
      this.#unsaved.delete(log);
      await this.#saveLog(log);
    }
    const { acked } = this.#state;
    if (acked <= this.#savedState) return;
    await this.#raise(STATE_KEY, [acked]);
    this.#savedState = acked;
  }

  /** Looks at a partition's stream once for each connection. @throws MeshError DataLoss. */
  async check(place: Place): Promise<void> {
    const { stream, log, partition } = place;
    if (this.#whole.has(stream)) return;
    const mark = Math.max(
      (await this.#stored(logKey(log)))[partition] ?? 0,
      this.#acked.get(log)?.[partition] ?? 0,
    );
    if (mark > 0) {
      const what = `log "${log}", partition ${partition}`;
      checkMark(what, stream, mark, await this.#rangeWith(stream, mark), logKey(log));
    }
    if (this.#connection.up) this.#whole.add(stream);
  }

  /** The same for what is kept of cursors, producers and specs. @throws MeshError DataLoss. */
  async checkState(): Promise<void> {
    const [mark = 0] = await this.#stored(STATE_KEY);
    if (mark === 0) return;
    const what = 'the state of the store (cursors, producers, logs)';
    const range = await this.#rangeWith(this.#stateStream, mark);
    checkMark(what, this.#stateStream, mark, range, STATE_KEY);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.save();
  }

  /** One at a time: while there is no leader, a save waits for longer than the timer. */
  async #saveInTime(): Promise<void> {
    this.#saving = true;
    try {
      await this.save();
    } finally {
      this.#saving = false;
    }
  }

  async #saveLog(log: string): Promise<void> {
    try {
      await this.#raise(logKey(log), this.#acked.get(log) ?? []);
    } catch (error) {
      this.#unsaved.add(log);
      throw error;
    }
  }

  /** Others may write marks of other partitions of the same log. */
  async #raise(key: string, positions: Positions): Promise<void> {
    await this.#bucket.change(key, (bytes) => {
      const stored = parse(bytes);
      const length = Math.max(stored.length, positions.length);
      const raised = Array.from({ length }, (_each, index) =>
        Math.max(stored[index] ?? 0, positions[index] ?? 0),
      );
      return Buffer.from(JSON.stringify(raised));
    });
  }

  async #stored(key: string): Promise<Positions> {
    return parse(await this.#bucket.get(key));
  }

  /**
   * The range of a stream that should go as far as a mark. In the first ten seconds of a stream,
   * the server that was chosen for its leader answers too when another one leads, and may lag; for a
   * record only the leader answers.
   */
  async #rangeWith(stream: string, mark: number): Promise<StreamRange | undefined> {
    const range = await this.#range(stream);
    if (range === undefined || range.last >= mark) return range;
    const has = await leaderHas(this.#connection, stream, mark);
    return has ? { ...range, last: mark } : this.#range(stream);
  }

  /** Undefined when there is no such stream at all. */
  async #range(stream: string): Promise<StreamRange | undefined> {
    try {
      return await streamRange(this.#connection, stream);
    } catch (error) {
      if (error instanceof MeshError && error.code === 'NotFound') return undefined;
      throw error;
    }
  }
}

const logKey = (log: string): string => `log/${logToken(log)}`;

const parse = (bytes: Uint8Array | undefined): Positions =>
  bytes === undefined ? [] : (JSON.parse(Buffer.from(bytes).toString()) as Positions);

function checkMark(
  what: string,
  stream: string,
  mark: number,
  range: StreamRange | undefined,
  key: string,
): void {
  const last = range?.last ?? 0;
  if (last >= mark) return;
  throw new MeshError(
    'DataLoss',
    `${what}: ${mark} was acknowledged, and stream ${stream} ` +
      (range === undefined ? 'is gone' : `ends at ${last}`) +
      '; nats-server has dropped what is damaged or was never synced. Restore the stream from a ' +
      `backup, or accept the loss: delete key ${key} of the KV bucket that ends in -marks and ` +
      'start again',
    { reason: 'RECORDS_LOST', facts: { stream, last: String(last), acknowledged: String(mark) } },
  );
}
