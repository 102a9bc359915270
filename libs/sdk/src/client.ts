import { SubscriberService, type Filter } from '@eventmesh/proto-gen/subscriber';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView } from '@eventmesh/event';
import { PublisherService } from '@eventmesh/proto-gen/publisher';
import { PublisherService as WirePublisherService } from '@eventmesh/proto-gen/wire';
import { createClient, grpcTransport, type TlsFiles, type Transport } from '@eventmesh/rpc';
import { StreamPublisher, type PublisherOptions } from './stream-publisher.ts';
import type { Delivery } from './delivery.ts';
import { Subscriber, type SubscribeOptions } from './subscriber.ts';
import {
  encode,
  repeatable,
  toReceipt,
  type EventInput,
  type EventLike,
  type PublishOptions,
  type Receipt,
} from './event-input.ts';

export type { Filter };

/** How to reach an emesher and who calls. One of user, apiKey and token; none for anonymous. */
export interface ConnectOptions {
  /** `host:port` of the emesher's gRPC server. */
  readonly address: string;
  /** `name` or `tenant/name`, with `password`. */
  readonly user?: string;
  readonly password?: string;
  /** An `em_…` key. */
  readonly apiKey?: string;
  /** A JWT; asked for at each call, so that it may be renewed. */
  readonly token?: () => string;
  readonly tls?: TlsFiles;
  /** Deadline of single calls in ms, 1 to 86,400,000. Default 10,000. */
  readonly timeoutMs?: number;
}

export interface RequestOptions {
  /** How long to wait for the reply, 1 to 300,000 ms. Default 30,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Of the request. Default: what the topic's catalogue entry says, else durable. */
  readonly deliveryClass?: 'durable' | 'direct';
}

const REQUEST_MS = 30_000;
const REQUEST_MS_MAX = 300_000;
/** What the mesh has beyond the time of a request to say that nobody answered, in ms. */
const ANSWER_MS = 2000;
/** Longest deadline of a single call, in ms. */
const CALL_MS_MAX = 86_400_000;

/** A connection to the mesh; cheap to keep, reconnects by itself. */
export class MeshClient {
  readonly #transport: Transport;

  /** @throws MeshError InvalidArgument for a deadline that is none. */
  constructor(options: ConnectOptions) {
    const { address, tls, timeoutMs } = options;
    if (timeoutMs !== undefined) checkMs(timeoutMs, CALL_MS_MAX);
    this.#transport = grpcTransport({
      address,
      ...(tls === undefined ? {} : { tls }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      metadata: () => credentials(options),
    });
  }

  /**
   * Publishes one event; resolves with the receipt once the store has it. It is sent up to
   * three times within the deadline of the call while the mesh refuses it as Unavailable, as when it
   * drains; what says that it is durable, or is for later, also when the connection breaks: the duplicate
   * window makes one of them. For anything else that would be more than at most once, the promise of the
   * direct class: after Unavailable it is for the caller to decide.
   *
   * @throws MeshError InvalidArgument that names what is wrong with the event or the options.
   */
  async publish(topic: string, event: EventInput, options: PublishOptions = {}): Promise<Receipt> {
    const client = createClient(WirePublisherService, this.#transport, PublisherService);
    const item = encode(topic, event, options);
    const { receipt } = await client.publish(item, {
      idempotent: repeatable(item) ? true : 'refused',
    });
    return toReceipt(receipt);
  }

  /** Opens a publish stream: many events in flight, receipts in order. The fast way. */
  publisher(options: PublisherOptions = {}): StreamPublisher {
    return new StreamPublisher(
      createClient(WirePublisherService, this.#transport, PublisherService),
      options,
    );
  }

  /**
   * Publishes a request, once, and resolves with the event that answers it.
   *
   * @throws MeshError DeadlineExceeded (NO_REPLY) when nobody answers in time, FailedPrecondition
   *   (NO_INTEREST) when nobody wants the topic, AlreadyExists when the event's id was used before,
   *   InvalidArgument (`timeoutMs`) out of its bounds.
   */
  async request(
    topic: string,
    event: EventInput,
    options: RequestOptions = {},
  ): Promise<EventView> {
    const { timeoutMs = REQUEST_MS, signal, deliveryClass } = options;
    checkMs(timeoutMs, REQUEST_MS_MAX);
    const client = createClient(WirePublisherService, this.#transport, PublisherService);
    const wanted = encode(topic, event, deliveryClass === undefined ? {} : { deliveryClass });
    const { reply } = await client.request(
      {
        topic,
        event: wanted.event,
        deliveryClass: wanted.deliveryClass,
        timeoutMs: BigInt(timeoutMs),
      },
      { timeoutMs: timeoutMs + ANSWER_MS, ...(signal === undefined ? {} : { signal }) },
    );
    return new EventView(reply);
  }

  /**
   * Answers a request that was delivered: publishes the event to the requester's inbox, with the
   * request's `correlationid` when it has none. A receipt with `noInterest` says that nobody waits
   * any more; at another site that cannot be told. A connection that breaks loses it, as all of the direct class.
   *
   * @throws MeshError InvalidArgument when the delivery is no request.
   */
  async reply({ event: request }: Pick<Delivery, 'event'>, event: EventLike): Promise<Receipt> {
    const address = request.text('replyto');
    if (address === undefined) {
      throw new MeshError(
        'InvalidArgument',
        'replyto: the delivery has none, so it is no request',
        {
          field: 'replyto',
        },
      );
    }
    const correlationid = request.text('correlationid');
    const extensions = {
      ...(correlationid === undefined ? {} : { correlationid }),
      ...event.extensions,
    };
    return this.publish(address, { ...event, extensions }, { deliveryClass: 'direct' });
  }

  /** Consumes a subscription, made when missing. Iterate it, and settle each delivery. */
  subscribe(options: SubscribeOptions): Subscriber {
    return new Subscriber(this.#transport, options);
  }

  /** Durable subscriptions as resources: the generated client of SubscriberService. */
  get subscriptions() {
    return createClient(SubscriberService, this.#transport);
  }

  /** The batch and other publisher calls, by their generated client. */
  get publisherService() {
    return createClient(PublisherService, this.#transport);
  }

  /** Ends the connection; what is in flight fails as Unavailable. */
  close(): void {
    this.#transport.close();
  }
}

function checkMs(timeoutMs: number, max: number): void {
  if (Number.isSafeInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= max) return;
  throw invalid('timeoutMs', `${timeoutMs} is out of bounds`, { limit: `1 to ${max} ms` });
}

function credentials(options: ConnectOptions): Record<string, string> {
  if (options.apiKey !== undefined) return { authorization: `Bearer ${options.apiKey}` };
  if (options.token !== undefined) return { authorization: `Bearer ${options.token()}` };
  if (options.user === undefined) return {};
  const pair = Buffer.from(`${options.user}:${options.password ?? ''}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}
