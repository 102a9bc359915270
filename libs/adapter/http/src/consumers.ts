import type { Attachment, Principal } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';
import { notHere } from './context.ts';
import { PullConsumer } from './pull-consumer.ts';
import type { SseStream } from './sse-stream.ts';

/** A consumer that this adapter holds, found again by later requests of its principal. */
export interface HeldConsumer {
  readonly principal: Principal;
  readonly attachment: Attachment;
}

const sameCaller = (a: Principal, b: Principal): boolean =>
  a.tenant === b.tenant && a.kind === b.kind && a.name === b.name;

/** The SSE streams and pull consumers of one adapter. */
export class Consumers {
  readonly streams = new Set<SseStream>();
  readonly #pulls = new Map<string, PullConsumer>();

  add(stream: SseStream): void {
    this.streams.add(stream);
  }

  remove(stream: SseStream): void {
    this.streams.delete(stream);
  }

  pull(key: string): PullConsumer | undefined {
    return this.#pulls.get(key);
  }

  addPull(key: string, consumer: PullConsumer): void {
    this.#pulls.set(key, consumer);
  }

  removePull(key: string, consumer: PullConsumer): void {
    if (this.#pulls.get(key) === consumer) this.#pulls.delete(key);
  }

  get pulls(): readonly PullConsumer[] {
    return [...this.#pulls.values()];
  }

  /**
   * The caller's own consumers of a subscription that settle explicitly.
   *
   * @throws NotFound when there is none at this emesher.
   */
  settling(
    principal: Principal,
    subscription: string,
    consumer: string | undefined,
  ): HeldConsumer[] {
    const explicit = [...this.streams].filter((stream) => stream.explicit);
    const pulls = [...this.#pulls.values()].filter((pull) => pull.attached);
    const found = [...explicit, ...pulls].filter(
      ({ principal: owner, attachment }) =>
        sameCaller(owner, principal) &&
        attachment.subscription.name === subscription &&
        (consumer === undefined || attachment.consumer === consumer),
    );
    if (found.length === 0) {
      throw notHere(
        `no consumer of "${subscription}" that settles explicitly is attached here; ` +
          'pull, or open a stream with ack=explicit, on this very emesher',
        'subscription',
      );
    }
    for (const one of found) if (one instanceof PullConsumer) one.lastUsedMs = Date.now();
    return found;
  }

  /** For what only makes sense on one consumer. */
  static single(found: readonly HeldConsumer[]): HeldConsumer {
    const [only, other] = found;
    if (only === undefined || other !== undefined) {
      throw invalid('consumer', 'there are several; name one', { limit: '1 consumer' });
    }
    return only;
  }
}
