import {
  ProducerSessions,
  judgeSession,
  outOfSequence,
  type AppendBatch,
  type SessionState,
} from '@eventmesh/store-api';

/** What an append says of its producer or session, once it is stored. */
export type ProducerMark =
  | { readonly kind: 'sequence'; readonly id: string; readonly last: number }
  | { readonly kind: 'session'; readonly id: string; readonly state: SessionState };

/** What a batch's numbering says of its records. */
export interface Admission {
  /** Whether the record with this index was not stored before. */
  readonly isNew: (index: number) => boolean;
  /** The new state when the partition will have come to this position; undefined: as it was. */
  readonly markAt: (position: number) => ProducerMark | undefined;
}

/** Producers of a partition as of a position, as it is put down apart from the records. */
export interface ProducerSnapshot {
  readonly upTo: number;
  readonly sequences: Readonly<Record<string, number>>;
  /** Shards of the session table that hold something. */
  readonly sessionShards: readonly number[];
}

/** Ids and states; a list, since an id may be any name. */
export type SessionShard = readonly (readonly [string, SessionState])[];

/** Keeps one value small: 10,000 sessions of the longest names are 4 MiB together. */
export const SESSION_SHARDS = 16;

const UNNUMBERED: Admission = { isNew: () => true, markAt: () => undefined };

/** Sequences and sessions: as known to the stream, and as put down. */
class Table {
  readonly sequences: Map<string, number>;
  readonly sessions: ProducerSessions;

  constructor(
    sequences: ReadonlyMap<string, number>,
    sessions: Iterable<readonly [string, SessionState]>,
  ) {
    this.sequences = new Map(sequences);
    this.sessions = new ProducerSessions(sessions);
  }

  /** Answers the session that had to be forgotten, if any. */
  apply(mark: ProducerMark): string | undefined {
    if (mark.kind === 'session') return this.sessions.set(mark.id, mark.state);
    this.sequences.set(mark.id, Math.max(mark.last, this.sequences.get(mark.id) ?? 0));
    return undefined;
  }
}

/**
 * What a partition's writer knows of the producers. Appends in flight count as `sent`, by which the
 * next ones are judged; only what the server has acknowledged counts as `stored` and is put down.
 */
export class ProducerBook {
  readonly #sent: Table;
  readonly #stored: Table;
  readonly #dirty = new Set<number>();
  #due = false;
  #upTo: number;

  /** @param upTo position of the last record that the rest takes account of */
  constructor(
    upTo: number,
    sequences: ReadonlyMap<string, number>,
    sessions: readonly (readonly [string, SessionState])[],
  ) {
    this.#upTo = upTo;
    this.#sent = new Table(sequences, sessions);
    this.#stored = new Table(sequences, sessions);
  }

  /** Whether something is stored that no snapshot has. */
  get due(): boolean {
    return this.#due;
  }

  /** Last stored sequence; 0 when there is none. */
  sequence(id: string): number {
    return this.#stored.sequences.get(id) ?? 0;
  }

  /** @throws MeshError Aborted, and nothing has changed. */
  admit({ producer, session }: AppendBatch): Admission {
    if (session !== undefined) {
      const { id, epoch } = session;
      const known = this.#sent.sessions.find(id);
      const { fresh, last } = judgeSession(known, session);
      const changed = known?.epoch !== epoch || known.last !== last;
      return {
        isNew: (index) => fresh[index] === true,
        markAt: (at) => (changed ? { kind: 'session', id, state: { epoch, last, at } } : undefined),
      };
    }
    if (producer === undefined) return UNNUMBERED;
    const { id, last } = producer;
    const known = this.#sent.sequences.get(id) ?? 0;
    if (last <= known) return { isNew: () => false, markAt: () => undefined };
    if (producer.previous !== known) throw outOfSequence(producer, known);
    return { isNew: () => true, markAt: () => ({ kind: 'sequence', id, last }) };
  }

  sent(mark: ProducerMark): void {
    this.#sent.apply(mark);
  }

  /** Everything up to a position is stored, and with it these marks, in order. */
  stored(upTo: number, marks: readonly ProducerMark[]): void {
    this.#upTo = Math.max(this.#upTo, upTo);
    for (const mark of marks) {
      const forgotten = this.#stored.apply(mark);
      this.#due = true;
      if (mark.kind === 'session') this.#dirty.add(shardOf(mark.id));
      if (forgotten !== undefined) this.#dirty.add(shardOf(forgotten));
    }
  }

  /** Takes what is to be put down: the sequences, and the shards that have changed. */
  takeSnapshot(): {
    readonly snapshot: ProducerSnapshot;
    readonly changed: ReadonlyMap<number, SessionShard>;
  } {
    const shards = Map.groupBy(this.#stored.sessions.entries(), ([id]) => shardOf(id));
    const changed = new Map<number, SessionShard>();
    for (const shard of this.#dirty) changed.set(shard, shards.get(shard) ?? []);
    this.#dirty.clear();
    this.#due = false;
    const sequences = Object.fromEntries(this.#stored.sequences);
    const sessionShards = [...shards.keys()];
    return { snapshot: { upTo: this.#upTo, sequences, sessionShards }, changed };
  }

  /** A snapshot was not put down: the next one has its shards too. */
  snapshotFailed(changed: ReadonlyMap<number, SessionShard>): void {
    this.#due = true;
    for (const shard of changed.keys()) this.#dirty.add(shard);
  }
}

/** FNV-1a over the UTF-16 units: only spreads, and must never change. */
export function shardOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193) >>> 0;
  return hash % SESSION_SHARDS;
}
