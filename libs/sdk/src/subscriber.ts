import type { Start, SubscriptionInput } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import {
  Settle_Outcome,
  SubscriberService,
  type Gap,
  type Opened,
  type SettleRefused,
  type SubscribeRequestSchema,
} from '@eventmesh/proto-gen/subscriber';
import {
  AsyncQueue,
  fromFailure,
  openStream,
  type PreEncoded,
  type Transport,
} from '@eventmesh/rpc';
import { int64, startToProto, subscriptionInputToProto, uint32 } from '@eventmesh/wire';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { CreditRenewal, creditToProto } from './credit.ts';
import {
  decodeStreamMessage,
  type OtherMessage,
  type StreamMessage,
  type WireDelivery,
} from './decode-deliveries.ts';
import { delivered, type Delivery, type Settling } from './delivery.ts';
import { encodeAccept } from './encode-accept.ts';

export interface SubscribeOptions {
  /** A durable subscription by name, or a spec that is made when missing. */
  readonly subscription: string | SubscriptionInput;
  readonly consumer?: string;
  /** Events that may be unsettled here. Default 512. */
  readonly credit?: number;
  /**
   * Bytes of events that may be unsettled here, from 1 to 1 TiB: at most so many, plus the one event
   * that uses up the rest, so that an event larger than it still comes. Default: bounded by `credit`
   * alone.
   */
  readonly creditBytes?: number;
  /** Wait for every reachable site to know of the interest, at most this long. Default 0. */
  readonly convergeMs?: number;
  /** A replay lane instead of the live deliveries; the subscription is then given by name. */
  readonly replay?: ReplayInput;
  /** Told of positions that are no longer in the store. */
  readonly onGap?: (gap: Gap) => void;
  /**
   * Told of the ids of deliveries that were settled in vain, as when an accept came after the
   * acknowledgement time: such an event is delivered again. Also while the loop is being left.
   */
  readonly onRefused?: (refused: SettleRefused) => void;
  readonly signal?: AbortSignal;
}

/**
 * A part of a subscription's past, delivered beside its live deliveries and without touching them.
 * Each event carries the attribute `meshreplay`. The iteration ends when the replay is through.
 */
export interface ReplayInput {
  readonly from: Start;
  /** Up to events stored before this, ms since the epoch. Default: what is stored now. */
  readonly toMs?: number;
  /** Events a second at most, 1 to 1,000,000. Default: as fast as they are settled. */
  readonly rateMax?: number;
  /** Deliver events whose life has ended, too. Default false: they are skipped and counted. */
  readonly expired?: boolean;
}

/** A replay in its gRPC form. @throws MeshError InvalidArgument for what is no whole number. */
export const replayToProto = ({ from, toMs, rateMax, expired = false }: ReplayInput) => ({
  from: startToProto(from),
  toMs: int64('replay.toMs', toMs),
  rateMax: uint32('replay.rateMax', rateMax),
  expired,
});

type Request = MessageInitShape<typeof SubscribeRequestSchema> | PreEncoded;

/** Longest wait for the server when a consumer leaves, in ms. */
const LEAVE_MS = 2000;

/**
 * The consumer has left its loop: the server has to take its last settles before the call is cut, or
 * they come again. It ends the stream when it has; what it still sends is released.
 */
async function untilEnded(
  responses: AsyncIterator<StreamMessage>,
  tell: (message: OtherMessage | undefined) => void,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LEAVE_MS);
  });
  const ended = (async () => {
    for (;;) {
      const next = await responses.next();
      if (next.done === true) return;
      if ('other' in next.value) tell(next.value.other);
    }
  })();
  // However the stream ended: nobody waits for anything of it any more.
  await Promise.race([ended.catch(() => undefined), late]);
  clearTimeout(timer);
}

/** A consuming stream; iterate it once. Leaving the loop detaches and releases the rest. */
export class Subscriber implements AsyncIterable<Delivery> {
  readonly #transport: Transport;
  readonly #options: SubscribeOptions;
  readonly #first: Request;
  readonly #requests = new AsyncQueue<Request>();
  readonly #credit: CreditRenewal;
  readonly #settling: Settling = {
    accept: (id) => {
      this.#accepted.push(id);
      this.#schedule();
    },
    settle: (...settle) => this.#settle(...settle),
  };
  #accepted: bigint[] = [];
  #scheduled = false;
  #opened: (opened: Opened) => void = () => undefined;
  #failed: (error: MeshError) => void = () => undefined;
  /** Resolves when the subscription is attached, with what the mesh made of it. */
  readonly opened: Promise<Opened>;

  /** @throws MeshError InvalidArgument for an option that is out of its bounds. */
  constructor(transport: Transport, options: SubscribeOptions) {
    this.#transport = transport;
    this.#options = options;
    const { credit = 512, creditBytes } = options;
    this.#credit = new CreditRenewal({
      events: credit,
      ...(creditBytes === undefined ? {} : { bytes: creditBytes }),
    });
    this.#first = { message: { case: 'open', value: this.#open() } };
    this.opened = new Promise((resolve, reject) => {
      this.#opened = resolve;
      this.#failed = reject;
    });
    // Whoever iterates sees the same failure; nobody has to look at both.
    this.opened.catch(() => undefined);
  }

  /** Stops the iteration and detaches. */
  close(): void {
    this.#flush();
    this.#requests.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
    for await (const deliveries of this.batches()) yield* deliveries;
  }

  /** The deliveries as they came, frame by frame; cheaper than one by one. */
  async *batches(): AsyncGenerator<Delivery[]> {
    const { signal } = this.#options;
    this.#requests.push(this.#first);
    const responses = openStream(
      SubscriberService.method.subscribe,
      this.#transport,
      this.#requests,
      { decode: decodeStreamMessage, ...(signal === undefined ? {} : { signal }) },
    )[Symbol.asyncIterator]();
    let consuming = false;
    try {
      for (;;) {
        const next = await responses.next();
        if (next.done === true) break;
        if ('deliveries' in next.value) {
          consuming = true;
          yield next.value.deliveries.map((delivery) => this.#delivery(delivery));
          consuming = false;
          continue;
        }
        const { other } = next.value;
        if (other?.case !== 'ended') {
          this.#tell(other);
          continue;
        }
        const { reason } = other.value;
        if (reason?.status === 0) return;
        throw reason === undefined
          ? new MeshError('Unavailable', 'the subscription ended')
          : fromFailure(reason);
      }
      this.#failed(new MeshError('Unavailable', 'the stream ended before it opened'));
    } catch (error) {
      this.#failed(MeshError.from(error));
      throw error;
    } finally {
      this.close();
      if (consuming) await untilEnded(responses, (message) => this.#tell(message));
      await responses.return?.(undefined);
    }
  }

  /** Accepts deliveries in one go. */
  accept(ids: readonly bigint[]): void {
    for (const id of ids) this.#accepted.push(id);
    this.#schedule();
  }

  #tell(message: OtherMessage | undefined): void {
    if (message?.case === 'opened') this.#opened(message.value);
    else if (message?.case === 'gap') this.#options.onGap?.(message.value);
    else if (message?.case === 'settleRefused') this.#options.onRefused?.(message.value);
  }

  #open() {
    const { subscription, consumer = '', convergeMs, replay } = this.#options;
    return {
      subscription:
        typeof subscription === 'string'
          ? { case: 'name' as const, value: subscription }
          : { case: 'spec' as const, value: subscriptionInputToProto(subscription) },
      consumer,
      convergeMs: int64('convergeMs', convergeMs),
      credit: creditToProto(this.#credit.first),
      ...(replay === undefined ? {} : { replay: replayToProto(replay) }),
    };
  }

  #delivery(wire: WireDelivery): Delivery {
    this.#credit.took(wire.id, wire.event.length);
    return delivered(wire, this.#settling);
  }

  #settle(id: bigint, outcome: Settle_Outcome, delay?: number, reason = ''): void {
    const delayMs = int64('delayMs', delay);
    this.#requests.push({
      message: { case: 'settle', value: { ids: [id], outcome, delayMs, reason } },
    });
    if (outcome !== Settle_Outcome.RENEW) this.#replenish([id]);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** One settle message for everything accepted in this turn. */
  #flush(): void {
    if (this.#accepted.length === 0) return;
    const ids = this.#accepted;
    this.#accepted = [];
    this.#requests.push(
      encodeAccept(ids) ?? {
        message: { case: 'settle', value: { ids, outcome: Settle_Outcome.ACCEPT } },
      },
    );
    this.#replenish(ids);
  }

  #replenish(settled: readonly bigint[]): void {
    const more = this.#credit.settled(settled);
    if (more === undefined) return;
    this.#requests.push({ message: { case: 'credit', value: creditToProto(more) } });
  }
}
