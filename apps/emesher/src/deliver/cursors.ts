import { MeshError } from '@eventmesh/errors';
import type { CursorCommit, EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import { Rounds } from './rounds.ts';

/** Whoever has progress to write. */
export interface CursorSource {
  /** Takes in what it has passed without a match since it was told last. */
  refresh(): void;
  /** Not `all`: large ones are left out that were written a moment ago. */
  takeCursors(all: boolean): CursorCommit[];
  /** The store could not be written; the progress is dirty again. */
  cursorsFailed(commits: readonly CursorCommit[]): void;
  /** A newer owner has written: stop at once. */
  fenced(): void;
}

/**
 * How old the written progress of a subscription that has only passed events without a match may
 * become, in ms. After a crash it looks at them again, which nobody notices.
 */
const PASSED_MS = 5000;

/**
 * Writes the progress of all subscriptions together, every `intervalMs`. What was settled since the
 * last write is delivered again after a crash; a longer interval means more of that and less work.
 * Those that nothing has matched meanwhile have their turn every `PASSED_MS`, some at each write, so
 * that thousands of them are no load.
 */
export class Cursors {
  readonly #store: EventStore;
  readonly #logger: Logger;
  readonly #sources = new Set<CursorSource>();
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;

  constructor(store: EventStore, logger: Logger, intervalMs: number) {
    this.#store = store;
    this.#logger = logger;
    const passed = new Rounds(this.#sources, PASSED_MS / intervalMs);
    this.#timer = setInterval(() => {
      for (const source of passed.next()) source.refresh();
      void this.#inTurn(false);
    }, intervalMs);
  }

  add(source: CursorSource): void {
    this.#sources.add(source);
  }

  /** After the last flush of a source. */
  remove(source: CursorSource): void {
    this.#sources.delete(source);
  }

  /** Writes what is dirty now; resolves when it is durable or has failed. */
  flush(): Promise<void> {
    return this.#inTurn(true);
  }

  async #inTurn(all: boolean): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    this.#writing = this.#write(all).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const source of this.#sources) source.refresh();
    await this.flush();
  }

  async #write(all: boolean): Promise<void> {
    const commits: CursorCommit[] = [];
    const owners: CursorSource[] = [];
    for (const source of this.#sources) {
      for (const commit of source.takeCursors(all)) {
        commits.push(commit);
        owners.push(source);
      }
    }
    if (commits.length === 0) return;
    try {
      const fenced = await this.#store.commitCursors(commits);
      for (const source of new Set(fenced.map((index) => owners[index]))) source?.fenced();
    } catch (error) {
      const { code } = MeshError.from(error);
      this.#logger.warn({ err: error, code, cursors: commits.length }, 'progress was not written');
      for (const source of new Set(owners)) {
        source.cursorsFailed(commits.filter((_, index) => owners[index] === source));
      }
    }
  }
}
