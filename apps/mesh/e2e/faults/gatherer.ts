import type { EventView, MeshClient, SubscribeOptions } from '@eventmesh/sdk';

const PAUSE_MS = 50;

export interface Gathered {
  readonly event: EventView;
  readonly atMs: number;
}

/**
 * A consumer that accepts everything and attaches again whenever its stream ends. It knows what it
 * took by place in the store: what is delivered again after a crash is the same event.
 */
export class Gatherer {
  readonly taken = new Map<number, Gathered>();
  readonly #stop = new AbortController();
  readonly #client: MeshClient;
  readonly #gathering: Promise<void>;

  constructor(client: MeshClient, subscription: SubscribeOptions['subscription']) {
    this.#client = client;
    this.#gathering = this.#gather(subscription);
  }

  /** In the order of the store. */
  ids(prefix = ''): string[] {
    return [...this.taken]
      .sort(([a], [b]) => a - b)
      .map(([, { event }]) => event.id)
      .filter((id) => id.startsWith(prefix));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#gathering;
    this.#client.close();
  }

  async #gather(subscription: SubscribeOptions['subscription']): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for await (const delivery of this.#client.subscribe({ subscription, signal })) {
          const { position, event } = delivery;
          if (!this.taken.has(position)) this.taken.set(position, { event, atMs: Date.now() });
          delivery.accept();
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }
}
