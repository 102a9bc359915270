import type { MeshError } from '@eventmesh/errors';
import { Patience } from './ask.ts';
import type { Connection } from './connection.ts';
import type { Work } from './group.ts';

/**
 * Appends whose commit nobody took, since the stream had no leader: nothing of them is stored, so
 * they go again, in their order, when there is one. They do so until a time is up that begins with
 * the first of them and ends with a commit that was answered.
 */
export class Again {
  readonly #connection: Connection;
  #works: Work[] = [];
  #patience: Patience | undefined;
  #failure: MeshError | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Whether it keeps them; otherwise they are to be refused. */
  keep(works: readonly Work[], failure: MeshError): boolean {
    // Those behind one that nobody took may come to the next leader, which misses that one.
    const isBehind = this.#works.length > 0 && failure.reason === 'WRITER_CONFLICT';
    if (failure.reason !== 'NO_LEADER' && !isBehind) {
      // Whoever comes after them waits for an outage of its own.
      if (this.#works.length === 0) this.over();
      return false;
    }
    this.#works.push(...works);
    this.#patience ??= new Patience(this.#connection);
    if (!isBehind) this.#failure = failure;
    return true;
  }

  take(): Work[] {
    return this.#works.splice(0);
  }

  /** Before they go again. @throws MeshError Unavailable (NO_LEADER) when their time is up. */
  async pause(): Promise<void> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) await this.#patience?.pause(failure);
  }

  /** The stream has answered, or they were refused. */
  over(): void {
    this.#patience = undefined;
    this.#failure = undefined;
  }
}
