import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Logs } from '../logs.ts';
import { Follower } from './follower.ts';

/** The shared readers of this emesher: one for each partition that somebody reads. */
export class Followers {
  readonly #store: EventStore;
  readonly #logs: Logs;
  readonly #logger: Logger;
  readonly #readAheadBytes: number;
  readonly #followers = new Map<string, Follower>();

  constructor(store: EventStore, logs: Logs, logger: Logger, readAheadBytes: number) {
    this.#store = store;
    this.#logs = logs;
    this.#logger = logger;
    this.#readAheadBytes = readAheadBytes;
  }

  of(tenant: string, partition: number): Follower {
    const log = this.#logs.name(tenant);
    const key = `${log}/${partition}`;
    let follower = this.#followers.get(key);
    if (follower === undefined) {
      follower = new Follower({
        store: this.#store,
        log,
        partition,
        logger: this.#logger,
        readAheadBytes: this.#readAheadBytes,
        retryMs: 250,
      });
      this.#followers.set(key, follower);
    }
    return follower;
  }

  stop(): void {
    for (const follower of this.#followers.values()) follower.stop();
  }
}
