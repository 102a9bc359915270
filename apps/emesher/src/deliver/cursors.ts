import { MeshError } from '@eventmesh/errors';
import type { CursorCommit, EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';

/** Whoever has progress to write. */
export interface CursorSource {
  takeCursors(): CursorCommit[];
  /** The store could not be written; the progress is dirty again. */
  cursorsFailed(commits: readonly CursorCommit[]): void;
  /** A newer owner has written: stop at once. */
  fenced(): void;
}

/**
 * Writes the progress of all subscriptions together, every `intervalMs`. What was settled since the
 * last write is delivered again after a crash; a longer interval means more of that and less work.
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
    this.#timer = setInterval(() => void this.flush(), intervalMs);
  }

  add(source: CursorSource): void {
    this.#sources.add(source);
  }

  /** After the last flush of a source. */
  remove(source: CursorSource): void {
    this.#sources.delete(source);
  }

  /** Writes what is dirty now; resolves when it is durable or has failed. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #write(): Promise<void> {
    const commits: CursorCommit[] = [];
    const owners: CursorSource[] = [];
    for (const source of this.#sources) {
      for (const commit of source.takeCursors()) {
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
