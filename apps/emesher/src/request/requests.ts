import { randomUUID } from 'node:crypto';
import {
  drainingError,
  type PublishItem,
  type Receipt,
  type RequestOptions,
} from '@eventmesh/adapter-api';
import { MeshError, invalid, type Reason } from '@eventmesh/errors';
import { checkEvent, type EventLimits } from '@eventmesh/event';
import type { Publisher } from '../publish/publisher.ts';
import type { Resolver } from '../publish/resolve.ts';
import { denied, type CallerSession } from '../session.ts';
import type { Slots } from '../slots.ts';
import { inboxTopic, isInboxTopic } from './inbox-address.ts';
import type { Inboxes } from './inboxes.ts';
import { stampRequest } from './stamp.ts';

/** Longest wait for a reply, in ms. */
export const REQUEST_MS_MAX = 300_000;

export type RequestOutcome = 'answered' | 'timeout' | 'no-interest' | 'refused' | 'gone';

export interface RequestsDeps {
  readonly site: string;
  readonly member: string;
  readonly now: () => number;
  readonly limits: () => EventLimits;
  readonly resolver: Pick<Resolver, 'resolve'>;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly inboxes: Inboxes;
  readonly slots: Slots;
  /** Nobody can be waited for any more. */
  readonly draining: AbortSignal;
  readonly onEnded: (tenant: string, outcome: RequestOutcome) => void;
}

/** Requests: published as any event, with an inbox for the reply that is waited for. */
export class Requests {
  readonly #deps: RequestsDeps;

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
  }

  /** See MeshPort.request. */
  async request(
    caller: CallerSession,
    item: PublishItem,
    options: RequestOptions,
  ): Promise<Uint8Array> {
    const { onEnded } = this.#deps;
    const { tenant } = caller.principal;
    try {
      const reply = await this.#request(caller, item, options);
      onEnded(tenant, 'answered');
      return reply;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      onEnded(tenant, outcomeOf(error));
      throw error;
    }
  }

  async #request(
    caller: CallerSession,
    item: PublishItem,
    { timeoutMs, signal }: RequestOptions,
  ): Promise<Uint8Array> {
    const { now, inboxes, slots, draining } = this.#deps;
    const { tenant } = caller.principal;
    checkRequest(item, timeoutMs);
    const event = checkEvent(item.event, this.#deps.limits());
    const resolved = this.#deps.resolver.resolve(caller, item.topic);
    if (!resolved.allowed) throw denied('publish', item.topic);
    if (!resolved.wanted.durable && !resolved.wanted.direct) throw noInterest(item.topic);
    const free = slots.take(tenant);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const deadlineMs = now() + timeoutMs;
    const token = inboxes.open({ tenant, deadlineMs, answer: resolve });
    const timer = setTimeout(() => reject(tooLate(item.topic, timeoutMs)), timeoutMs);
    const gone = () => reject(new MeshError('Cancelled', 'the requester has left'));
    const drained = () => reject(stoppedWaiting());
    signal?.addEventListener('abort', gone, { once: true });
    draining.addEventListener('abort', drained, { once: true });
    try {
      if (signal?.aborted === true) gone();
      if (draining.aborted) drained();
      const replyTo = inboxTopic({ ...this.#deps, token });
      const bytes = stampRequest(event, { replyTo, correlationId: randomUUID(), deadlineMs });
      // The reply may be faster than the receipt; a refusal ends the waiting.
      this.#publish(caller, { ...item, event: bytes }).catch(reject);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', gone);
      draining.removeEventListener('abort', drained);
      inboxes.close(token);
      free();
    }
  }

  async #publish(caller: CallerSession, item: PublishItem): Promise<void> {
    const [outcome] = await this.#deps.publisher.publish(caller, [item]);
    if (outcome instanceof MeshError) throw outcome;
    if (outcome !== undefined) checkReceipt(outcome, item.topic);
  }
}

function checkRequest(
  { topic, deliverAtMs, deliverAfterMs }: PublishItem,
  timeoutMs: number,
): void {
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > REQUEST_MS_MAX) {
    throw invalid('timeoutMs', `${timeoutMs} is out of bounds`, {
      limit: `1 to ${REQUEST_MS_MAX} ms`,
    });
  }
  if (isInboxTopic(topic)) {
    throw invalid('topic', 'is the address of an inbox, which answers nothing; publish to it');
  }
  if ((deliverAtMs ?? 0) !== 0 || (deliverAfterMs ?? 0) !== 0) {
    throw invalid('deliverAtMs', 'a request cannot be scheduled; its deadline runs from now');
  }
}

function checkReceipt({ duplicate, noInterest: nobody }: Receipt, topic: string): void {
  if (nobody) throw noInterest(topic);
  if (!duplicate) return;
  // The event in the store asks for a reply to the inbox of the first request.
  throw new MeshError(
    'AlreadyExists',
    'id: an event with this source and id was published before; give each request its own id',
    { field: 'id', reason: 'DUPLICATE_REQUEST' },
  );
}

const noInterest = (topic: string): MeshError =>
  new MeshError('FailedPrecondition', `nobody in the known mesh wants "${topic}"`, {
    field: 'topic',
    reason: 'NO_INTEREST',
  });

const tooLate = (topic: string, timeoutMs: number): MeshError =>
  new MeshError('DeadlineExceeded', `nobody answered on "${topic}" within ${timeoutMs} ms`, {
    reason: 'NO_REPLY',
    limit: `${timeoutMs} ms`,
  });

const stoppedWaiting = (): MeshError =>
  drainingError(
    'this emesher is draining and cannot wait; whether the request was answered is not known',
  );

const OUTCOMES: Readonly<Partial<Record<Reason, RequestOutcome>>> = Object.freeze({
  NO_REPLY: 'timeout',
  NO_INTEREST: 'no-interest',
  CANCELLED: 'gone',
});

const outcomeOf = ({ reason }: MeshError): RequestOutcome => OUTCOMES[reason] ?? 'refused';
