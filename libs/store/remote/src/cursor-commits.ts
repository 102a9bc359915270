import { MeshError } from '@eventmesh/errors';
import type { EventStoreService } from '@eventmesh/proto-gen/store';
import type { Client } from '@eventmesh/rpc';
import type { CursorCommit } from '@eventmesh/store-api';
import { cursorToWire } from './wire.ts';

/** Commits in one call. */
const COMMITS_MAX = 500;

interface Work {
  readonly commits: readonly CursorCommit[];
  readonly resolve: (fenced: number[]) => void;
  readonly reject: (error: MeshError) => void;
}

/** Sends cursor commits one call after the other, so that they are applied in call order. */
export class CursorCommits {
  readonly #client: Client<typeof EventStoreService>;
  readonly #waitingMax: number;
  #queue: Work[] = [];
  #waiting = 0;
  #sending = false;

  /** @param waitingMax Commits that may wait for the call before; one list of them always may. */
  constructor(client: Client<typeof EventStoreService>, waitingMax: number) {
    this.#client = client;
    this.#waitingMax = waitingMax;
  }

  /** Commits that wait to be sent. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @throws MeshError ResourceExhausted (STORE_BUSY); what is not written now goes later. */
  commit(commits: readonly CursorCommit[]): Promise<number[]> {
    if (this.#waiting > 0 && this.#waiting + commits.length > this.#waitingMax) {
      return Promise.reject(tooMany(this.#waitingMax));
    }
    this.#waiting += commits.length;
    return new Promise((resolve, reject) => {
      this.#queue.push({ commits, resolve, reject });
      if (!this.#sending) void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#sending = true;
    while (this.#queue.length > 0) {
      const works = this.#take();
      try {
        const commits = works.flatMap((work) => work.commits);
        const { fenced } = await this.#client.commitCursors({
          commits: commits.map(({ id, cursor }) => ({ id, cursor: cursorToWire(cursor) as never })),
        });
        settle(works, new Set(fenced));
      } catch (error) {
        for (const { reject } of works) reject(MeshError.from(error));
      }
    }
    this.#sending = false;
  }

  #take(): Work[] {
    let count = 0;
    let commits = 0;
    for (const work of this.#queue) {
      if (count > 0 && commits + work.commits.length > COMMITS_MAX) break;
      count++;
      commits += work.commits.length;
    }
    const works = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#waiting -= commits;
    return works;
  }
}

const tooMany = (waitingMax: number): MeshError =>
  new MeshError('ResourceExhausted', 'too many cursors wait for the store-gateway', {
    limit: `${waitingMax} cursors`,
    reason: 'STORE_BUSY',
    retryAfterMs: 100,
  });

function settle(works: readonly Work[], fenced: ReadonlySet<number>): void {
  let from = 0;
  for (const { commits, resolve } of works) {
    const own = commits.flatMap((_commit, index) => (fenced.has(from + index) ? [index] : []));
    from += commits.length;
    resolve(own);
  }
}
