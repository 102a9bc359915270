import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { LinkMarkSchema, type Passed } from '@eventmesh/proto-gen/link';
import type { CursorCommit, CursorId, EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Seen } from './seen.ts';

/** What is kept of one partition of a neighbour beside its last record stored. */
export interface Mark {
  /** Where it is kept. */
  readonly id: CursorId;
  /** Of the ownership of the link; see `Hello.epoch`. */
  readonly epoch: number;
  /** The last record of that partition that is stored here. */
  readonly last: number;
  /** How far the neighbour has looked beyond that, as far as it has told. */
  readonly passed: Passed | undefined;
  /** By which the neighbour can tell whether its log is still the one that these come from. */
  readonly seen: readonly Seen[];
}

interface Pending {
  readonly mark: Mark;
  readonly written: () => void;
}

export interface MarksDeps {
  /** Shortest time between two writes, in ms. */
  readonly progressInterval: number;
  /** A mark was refused: that of a newer owner of the link is there. */
  readonly onFenced: () => void;
  readonly store: EventStore;
  readonly logger: Logger;
}

/**
 * Writes the marks of one link, all together and at most once in `progressInterval`. What a mark says
 * was passed by is no more than a hint: it names the last record that it stands behind, and counts
 * only while that is still the last one in the store; without it the neighbour reads on behind that
 * record. The records seen were stored before, and count as long as they are remembered.
 */
export class Marks {
  readonly #deps: MarksDeps;
  /** The newest one of each partition that is not written yet. */
  readonly #pending = new Map<string, Pending>();
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextMs = 0;
  #closed = false;

  constructor(deps: MarksDeps) {
    this.#deps = deps;
  }

  /** What is stored up to `mark.last` must be durable. @param written called once the mark is. */
  note(mark: Mark, written: () => void): void {
    if (this.#closed) return;
    this.#pending.set(keyOf(mark.id), { mark, written });
    this.#plan();
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#write();
  }

  #plan(): void {
    if (this.#closed || this.#timer !== undefined || this.#writing !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#writing = this.#write().finally(() => {
          this.#writing = undefined;
          if (this.#pending.size > 0) this.#plan();
        });
      },
      Math.max(0, this.#nextMs - performance.now()),
    );
  }

  async #write(): Promise<void> {
    const marks = [...this.#pending.values()];
    if (marks.length === 0) return;
    this.#pending.clear();
    this.#nextMs = performance.now() + this.#deps.progressInterval;
    try {
      const commits = marks.map(({ mark }) => commitOf(mark));
      const refused = new Set(await this.#deps.store.commitCursors(commits));
      for (const [index, { written }] of marks.entries()) if (!refused.has(index)) written();
      if (refused.size > 0) this.#deps.onFenced();
    } catch (error) {
      this.#deps.logger.warn(
        { err: error, marks: marks.length },
        'marks of a link were not written',
      );
      for (const pending of marks) {
        const key = keyOf(pending.mark.id);
        if (!this.#pending.has(key)) this.#pending.set(key, pending);
      }
    }
  }
}

/**
 * What was kept; its epoch is undefined when it cannot be read. What was passed by is left out unless `last` is the last record stored, so that the
 * neighbour reads on behind that.
 */
export async function keptMark(
  { store, logger }: Pick<MarksDeps, 'store' | 'logger'>,
  id: CursorId,
  last: number,
): Promise<Pick<Mark, 'passed' | 'seen'> & { readonly epoch: number | undefined }> {
  try {
    const cursor = await store.loadCursor(id);
    if (cursor === undefined) return { ...NOTHING, epoch: 0 };
    const mark = fromBinary(LinkMarkSchema, cursor.state);
    const seen = mark.seen.map(({ position, ingressTimeUs }) => ({
      position: Number(position),
      ingressTimeUs: Number(ingressTimeUs),
    }));
    const passed = Number(mark.last) === last ? mark.passed : undefined;
    return { passed, seen, epoch: cursor.epoch };
  } catch (error) {
    logger.warn({ err: error, ...id }, 'the mark of a link cannot be read; it is done without');
    return { ...NOTHING, epoch: undefined };
  }
}

const NOTHING = { passed: undefined, seen: [] } as const;

const keyOf = ({ log, partition, subscription }: CursorId) => `${log}/${partition}/${subscription}`;

/** As it is on the wire, and kept. */
export const seenToWire = (seen: readonly Seen[]) =>
  seen.map(({ position, ingressTimeUs }) => ({
    position: BigInt(position),
    ingressTimeUs: BigInt(ingressTimeUs),
  }));

/** A mark as the store keeps it. */
export function commitOf({ id, epoch, last, passed, seen }: Mark): CursorCommit {
  const fields = { last: BigInt(last), seen: seenToWire(seen) };
  const mark = create(LinkMarkSchema, passed === undefined ? fields : { ...fields, passed });
  const floor = Number(passed?.upTo ?? last) + 1;
  return { id, cursor: { floor, settled: [], epoch, state: toBinary(LinkMarkSchema, mark) } };
}
