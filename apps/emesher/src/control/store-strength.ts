import type { DurabilityClass, EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';

/** How often the store is asked anew, in ms: its settings may change under us. */
const ASK_MS = 30_000;

/** Room for the envelope: topic, key, names and the longest path. */
const ENVELOPE_BYTES_MAX = 16 * 1024;

/** What the store was last found to do before a receipt. */
export class StoreStrength {
  readonly #store: EventStore;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  durability: DurabilityClass | undefined;
  /** Largest event that fits into a record of the store. */
  eventBytesMax = Infinity;

  constructor(store: EventStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    await this.#ask();
    this.#timer = setInterval(() => void this.#ask(), ASK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    try {
      const { durability, warnings, recordBytesMax } = await this.#store.profile();
      if (durability !== this.durability) {
        this.#logger.info({ durability, warnings }, 'the store was asked for its durability');
      }
      this.durability = durability;
      this.eventBytesMax = recordBytesMax - ENVELOPE_BYTES_MAX;
    } catch (error) {
      // Unknown is not weak: topics without a demand go on, those with one are refused.
      this.durability = undefined;
      this.#logger.warn({ err: error }, 'the store does not tell its durability');
    }
  }
}
