import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Delivery, DeliverySink, SettleOutcome, Settled } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import type { AttachRequestSchema, OpenSchema } from '@eventmesh/proto-gen/peer';
import { Settle_Outcome } from '@eventmesh/proto-gen/subscriber';
import type { Delivery as WireDelivery, SubscribeResponse } from '@eventmesh/proto-gen/wire';
import { AsyncQueue, fromFailure } from '@eventmesh/rpc';
import type { AttachThere } from '../deliver/attachments.ts';
import { isMoved, movedError, type Hold } from '../deliver/hold.ts';
import { wirePrincipal } from '../session.ts';
import type { Peer, Peers } from './peers.ts';

type Request = MessageInitShape<typeof AttachRequestSchema>;

/** An owner that is asked for a place and does not answer in this time counts as gone, in ms. */
const OPEN_MS_MAX = 3000;
/** An owner that does not say in this time that credit is taken back counts as gone, in ms. */
const DRAIN_MS_MAX = 10_000;
/** Longest wait for the owner to have released everything, in ms. */
const DETACH_MS_MAX = 2000;

interface RelayOptions {
  /** Messages that may wait for an owner that does not read; beyond it the owner counts as gone. */
  readonly requestsMax: number;
  /** Tells how many do; see `Metrics.measure`. */
  readonly measure: (waiting: () => number) => () => void;
}

/**
 * A place at a subscription that another emesher owns: one stream to it for each consumer.
 * @throws FENCED when the owner is gone or gives it up; else what the owner answers.
 */
export const relayTo =
  (peers: Pick<Peers, 'owner'>, options: RelayOptions): AttachThere =>
  async (refused, { name }, session, consumer, sink) => {
    const owner = await peers.owner(refused);
    const stream = new RelayStream(owner, name, sink, options);
    await stream.open({ principal: wirePrincipal(session), subscription: name, consumer });
    return stream;
  };

class RelayStream implements Hold {
  readonly #peer: Peer;
  readonly #subscription: string;
  readonly #sink: DeliverySink;
  readonly #options: RelayOptions;
  readonly #requests = new AsyncQueue<Request>();
  readonly #cut = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  /** Drains that the owner has not answered, in order. */
  readonly #drains: (() => void)[] = [];
  /** Nothing is told to the sink any more. */
  #over = false;

  constructor(peer: Peer, subscription: string, sink: DeliverySink, options: RelayOptions) {
    this.#options = options;
    this.#peer = peer;
    this.#subscription = subscription;
    this.#sink = sink;
  }

  async open(value: MessageInitShape<typeof OpenSchema>): Promise<void> {
    const opened = Promise.withResolvers<undefined>();
    this.#requests.push({ message: { case: 'open', value } });
    this.#reading = this.#read(() => opened.resolve(undefined)).then(
      (end) => opened.reject(end),
      opened.reject,
    );
    const late = setTimeout(
      () => this.#cut.abort(new MeshError('DeadlineExceeded', 'the owner does not answer')),
      OPEN_MS_MAX,
    );
    try {
      await opened.promise;
    } catch (error) {
      this.#over = true;
      throw this.#reason(error);
    } finally {
      clearTimeout(late);
    }
  }

  credit(events: number, bytes: number): void {
    this.#send({ message: { case: 'credit', value: { events, bytes: BigInt(bytes) } } });
  }

  async drain(): Promise<void> {
    if (this.#over) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drains.push(resolve);
    this.#send({ message: { case: 'credit', value: { drain: true } } });
    const late = setTimeout(() => this.#cut.abort(), DRAIN_MS_MAX);
    await promise;
    clearTimeout(late);
  }

  /** The owner tells later what it refuses. */
  settle(ids: readonly number[], outcome: SettleOutcome, cumulative: boolean): Settled {
    if (this.#over) return { refused: ids, count: 0 };
    const value = { ids: ids.map(BigInt), cumulative, ...settleToWire(outcome) };
    this.#send({ message: { case: 'settle', value } });
    return { refused: [], count: cumulative ? undefined : ids.length };
  }

  async detach(): Promise<void> {
    this.#over = true;
    this.#requests.end();
    const late = setTimeout(() => this.#cut.abort(), DETACH_MS_MAX);
    await this.#reading;
    clearTimeout(late);
  }

  #send(request: Request): void {
    if (this.#requests.size >= this.#options.requestsMax) this.#cut.abort();
    else this.#requests.push(request);
  }

  /** Resolves with why it ended; until it is open nobody else hears of that. */
  async #read(opened: () => void): Promise<MeshError> {
    const { client, left } = this.#peer;
    const stop = this.#options.measure(() => this.#requests.size);
    const signal = AbortSignal.any([this.#cut.signal, left]);
    let open = false;
    let end: MeshError | undefined;
    try {
      for await (const { message } of client.attach(this.#requests, { signal })) {
        if (message.case === 'ended') {
          const { reason } = message.value;
          end = reason === undefined ? undefined : fromFailure(reason);
          break;
        }
        if (message.case === 'opened') {
          open = true;
          opened();
        } else this.#tell(message);
      }
    } catch (error) {
      end = MeshError.from(error);
    }
    stop();
    this.#requests.end();
    for (const drained of this.#drains.splice(0)) drained();
    const reason = this.#reason(end ?? movedError(this.#subscription));
    if (open && !this.#over) {
      this.#over = true;
      this.#sink.ended(reason);
    }
    return reason;
  }

  #tell(message: SubscribeResponse['message']): void {
    if (message.case === 'drained') this.#drains.shift()?.();
    if (this.#over) return;
    if (message.case === 'deliveries') {
      this.#sink.deliver(message.value.deliveries.map(fromWire));
    } else if (message.case === 'settleRefused') {
      this.#sink.refused(message.value.ids.map(Number));
    } else if (message.case === 'gap') {
      const { partition, fromPosition, toPosition, reason } = message.value;
      this.#sink.gap({ partition, from: Number(fromPosition), to: Number(toPosition), reason });
    }
  }

  /** An owner that cannot be reached, or ends with its process, has left the subscription. */
  #reason(thrown: unknown): MeshError {
    const error = MeshError.from(thrown);
    if (isMoved(error)) return error;
    const gone = ['Unavailable', 'Cancelled', 'DeadlineExceeded', 'Internal'];
    return gone.includes(error.code) ? movedError(this.#subscription, error) : error;
  }
}

function fromWire(delivery: WireDelivery): Delivery {
  return {
    id: Number(delivery.id),
    attempt: delivery.attempt,
    topic: delivery.topic,
    event: delivery.event,
    partition: delivery.partition,
    position: Number(delivery.position),
    originSite: delivery.originSite,
    ingressTimeUs: Number(delivery.ingressTimeUs),
  };
}

function settleToWire(outcome: SettleOutcome) {
  switch (outcome.kind) {
    case 'accept':
      return { outcome: Settle_Outcome.ACCEPT };
    case 'release':
      return { outcome: Settle_Outcome.RELEASE, delayMs: BigInt(outcome.delayMs ?? 0) };
    case 'reject':
      return { outcome: Settle_Outcome.REJECT, reason: outcome.reason };
    case 'renew':
      return { outcome: Settle_Outcome.RENEW };
    case 'return':
      return { outcome: Settle_Outcome.RETURN };
  }
}
