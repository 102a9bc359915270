import { randomBytes, randomUUID } from 'node:crypto';
import {
  drainingError,
  type PublishItem,
  type Receipt,
  type RequestOptions,
} from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, encodeEvent, type AttributeValue } from '@eventmesh/event';

const ROOT = '$inbox/';

/** Who asks, and where. */
export interface Asked {
  readonly tenant: string;
  readonly site: string;
  readonly draining: AbortSignal;
  /** Whether nobody wants the topic. */
  nobody(): boolean;
}

/** The inboxes of the memory mesh: for each request that waits, an address that is answered once. */
export class MemoryRequests {
  readonly #waiting = new Map<
    string,
    { readonly tenant: string; readonly answer: (event: Uint8Array) => void }
  >();
  /** Replies that nobody waited for (any more). */
  late = 0;

  isInbox(topic: string): boolean {
    return topic.startsWith(ROOT);
  }

  /** Requests that wait. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Whether somebody of the tenant waited at this address. */
  answer(tenant: string, topic: string, event: Uint8Array): boolean {
    if (!/^\$inbox\/[^/]+\/[^/]+\/[^/]+$/.test(topic)) {
      throw invalid('topic', 'is not the whole address of an inbox');
    }
    const waiting = this.#waiting.get(topic);
    if (waiting?.tenant !== tenant) {
      this.late++;
      return false;
    }
    this.#waiting.delete(topic);
    waiting.answer(event);
    return true;
  }

  /** Publishes a request by `publish` and waits for its reply. */
  async request(
    { tenant, site, draining, nobody: isNobody }: Asked,
    item: PublishItem,
    { timeoutMs, signal }: RequestOptions,
    publish: (item: PublishItem) => Promise<Receipt>,
  ): Promise<Uint8Array> {
    if (isNobody()) throw nobody(item.topic);
    const address = `${ROOT}${site}/memory/${randomBytes(16).toString('base64url')}`;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#waiting.set(address, { tenant, answer: resolve });
    const timer = setTimeout(
      () =>
        reject(
          new MeshError('DeadlineExceeded', `nobody answered within ${timeoutMs} ms`, {
            reason: 'NO_REPLY',
            limit: `${timeoutMs} ms`,
          }),
        ),
      timeoutMs,
    );
    const gone = () => reject(new MeshError('Cancelled', 'the requester has left'));
    const drained = () => reject(drainingError());
    signal?.addEventListener('abort', gone, { once: true });
    draining.addEventListener('abort', drained, { once: true });
    try {
      if (signal?.aborted === true) gone();
      const event = stamp(item.event, address, Date.now() + timeoutMs);
      publish({ ...item, event }).then(({ noInterest, duplicate }) => {
        if (noInterest) reject(nobody(item.topic));
        else if (duplicate) reject(asked());
      }, reject);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', gone);
      draining.removeEventListener('abort', drained);
      this.#waiting.delete(address);
    }
  }
}

const nobody = (topic: string) =>
  new MeshError('FailedPrecondition', `nobody wants "${topic}"`, {
    field: 'topic',
    reason: 'NO_INTEREST',
  });

const asked = () =>
  new MeshError('AlreadyExists', 'id: an event with this source and id was published before', {
    field: 'id',
    reason: 'DUPLICATE_REQUEST',
  });

function stamp(encoded: Uint8Array, address: string, deadlineMs: number): Buffer {
  const event = new EventView(encoded);
  const text = (value: string): AttributeValue => ({ kind: 'string', value });
  const { id, source, type, specVersion, data } = event;
  const attributes = new Map(event.attributes);
  attributes.set('replyto', text(address));
  if (!attributes.has('correlationid')) attributes.set('correlationid', text(randomUUID()));
  const seconds = Math.floor(deadlineMs / 1000);
  const nanos = (deadlineMs - seconds * 1000) * 1_000_000;
  attributes.set('expirytime', { kind: 'timestamp', seconds, nanos });
  const parts = { id, source, type, specVersion, attributes };
  return encodeEvent(data === undefined ? parts : { ...parts, data });
}
