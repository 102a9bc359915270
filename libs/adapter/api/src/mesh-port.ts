import type { MeshError } from '@eventmesh/errors';
import type {
  DeliveryClass,
  Start,
  Subscription,
  SubscriptionChange,
  SubscriptionInput,
} from '@eventmesh/delivery';
import type { DeadLettersPort } from './dead-letters-port.ts';
import type { InspectPort } from './inspect-port.ts';
import type { ReplayOptions, ReplaysPort } from './replays-port.ts';
import type { ScheduledEventsPort } from './scheduled-events-port.ts';

/** The authenticated caller. */
export interface Principal {
  readonly tenant: string;
  readonly kind: 'user' | 'api-key' | 'token' | 'service';
  readonly name: string;
  readonly roles: readonly string[];
}

/** Proof of a caller's identity, held for as long as its connection or request lives. */
export interface Session {
  readonly principal: Principal;
  /** When the credential ends, ms since the epoch; 0 for never. */
  readonly expiresMs: number;
}

/** One event to publish. */
export interface PublishItem {
  readonly topic: string;
  /** The event as io.cloudevents.v1.CloudEvent, unchecked. The mesh keeps it; do not change it. */
  readonly event: Uint8Array;
  /** Default durable, or what the topic's catalogue entry says. */
  readonly deliveryClass?: DeliveryClass;
  /** Life from acceptance in ms; 0 or absent: as the event's `expirytime` says. */
  readonly expiresAfterMs?: number;
  /** Publish it not before this, ms since the epoch; 0 or absent: as its `delivertime` says. */
  readonly deliverAtMs?: number;
  /** The same as a delay from acceptance in ms; not together with `deliverAtMs`. */
  readonly deliverAfterMs?: number;
  /** When its time has passed long since; default fire. */
  readonly latePolicy?: LatePolicy;
  /** W3C trace context of the call; the event's own, if it has one, goes before it. */
  readonly traceparent?: string;
  /** Its number, when the publish names a producer. */
  readonly sequence?: number;
}

/** What to do with a scheduled event whose time has passed, as after a long stop. */
export type LatePolicy = 'fire' | 'skip' | 'dead-letter';

/** An idempotent producer; see eventmesh.publisher.v1.Producer. */
export interface Producer {
  readonly id: string;
  readonly epoch: number;
}

export interface PublishOptions {
  /**
   * All events or none; only when they fall into one partition. When one is refused all have its error,
   * which names its place.
   */
  readonly atomic?: boolean;
  /**
   * Who numbers these events. The same object for all calls of one stream: after a call of it that
   * was not stored none is taken, since its events would pass as duplicates when sent again.
   */
  readonly producer?: Producer;
}

export interface RequestOptions {
  /** How long to wait for the reply, 1 ms to 5 minutes. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What the mesh has done for an event when it answers. */
export interface Receipt {
  readonly site: string;
  readonly partition: number;
  /** From 1; 0 for the direct class. */
  readonly position: number;
  readonly duplicate: boolean;
  /** Undefined for the direct class. */
  readonly durability: string | undefined;
  /** No subscription of the event's delivery class in the known mesh wants the topic now. */
  readonly noInterest: boolean;
  readonly destinations: readonly string[];
  /**
   * When it will be published, for a scheduled event; `position` is then one among the timers. Not
   * there for a duplicate, which comes when the first one is due.
   */
  readonly deliverAtMs?: number;
}

/** An event on its way to a consumer. */
export interface Delivery {
  /** Settle with this; carries the ownership epoch. A safe integer. */
  readonly id: number;
  /** 1 for the first delivery. */
  readonly attempt: number;
  readonly topic: string;
  /** io.cloudevents.v1.CloudEvent; shared with others, never to be written to. */
  readonly event: Uint8Array;
  readonly partition: number;
  readonly position: number;
  readonly originSite: string;
  /** Microseconds since the epoch. */
  readonly ingressTimeUs: number;
}

export type SettleOutcome =
  | { readonly kind: 'accept' }
  /** With a delay the consumer's wish is honoured and no failure counted. */
  | { readonly kind: 'release'; readonly delayMs?: number }
  | { readonly kind: 'reject'; readonly reason: string }
  | { readonly kind: 'renew' }
  /** Nobody has looked at it: no failure and no attempt, and it comes next. Not of the direct class. */
  | { readonly kind: 'return' };

/**
 * Where the mesh hands deliveries to an adapter: never more than the credit allows, not before
 * `attach` has answered, and not from within a call of the attachment; a gap, or the end, may come
 * before the answer. Must not throw or block; may call the attachment. Nothing is called after `ended`
 * or a finished `detach`.
 */
export interface DeliverySink {
  deliver(deliveries: readonly Delivery[]): void;
  /** Positions that are no longer in the store. */
  gap(gap: Gap): void;
  /** Settles that turned out late to be unknown or stale, as when the owner is another emesher. */
  refused(ids: readonly number[]): void;
  /**
   * The mesh ends the attachment; what was not settled is released.
   * @param reason Undefined: a replay lane that is through.
   */
  ended(reason: MeshError | undefined): void;
}

/** What a settle has done. */
export interface Settled {
  /** Of the ids given those that were unknown or stale; what an owner elsewhere refuses is told later. */
  readonly refused: readonly number[];
  /**
   * Deliveries that were settled: more than ids were given when it was cumulative, and then not known
   * (undefined) while the subscription runs at another emesher.
   */
  readonly count: number | undefined;
}

/** Positions of a partition that a subscription will not get. */
export interface Gap {
  readonly partition: number;
  /** Both ends included. */
  readonly from: number;
  readonly to: number;
  /** For people. Absent: retention took them. */
  readonly reason?: string;
}

/** A consumer's hold on a subscription. */
export interface Attachment {
  readonly subscription: Subscription;
  readonly consumer: string;
  /** Sites that acknowledged the interest, when convergence was waited for. */
  readonly convergedSites: readonly string[];
  readonly unreachableSites: readonly string[];
  /** Of the replay lane, when it is one. */
  readonly replayId?: string;
  /** Adds to what may be delivered. `bytes` 0: bounded by events alone. */
  credit(events: number, bytes?: number): void;
  /**
   * Delivers what is there now, as far as credit goes, and takes the rest of the credit back, also
   * what is given meanwhile. Resolves when nothing more of it will be delivered. Never rejects.
   */
  drain(): Promise<void>;
  /** Settles deliveries; with `cumulative` all earlier ones of the consumer, too. Never throws. */
  settle(ids: readonly number[], outcome: SettleOutcome, cumulative?: boolean): Settled;
  /** Releases what is not settled. Idempotent; resolves when nothing will be called any more. */
  detach(): Promise<void>;
}

export interface AttachOptions {
  /** A durable subscription by name, or a spec that is made when missing. */
  readonly subscription: string | SubscriptionInput;
  /** Name in metrics and status. Default: generated. */
  readonly consumer?: string;
  /** First credit in events. Default 0. */
  readonly creditEvents?: number;
  readonly creditBytes?: number;
  /** Wait this long for the interest to reach every reachable site. Default 0: do not wait. */
  readonly convergeMs?: number;
  /** A replay lane instead of the live deliveries; the subscription is then given by name. */
  readonly replay?: ReplayOptions;
}

/** The books of one subscription; see eventmesh.subscriber.v1.SubscriptionStatus. */
export interface SubscriptionStatus {
  readonly considered: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly deadLettered: number;
  readonly dropped: number;
  readonly held: number;
  readonly lag: number;
  readonly consumers: number;
  readonly ownerMember: string;
  readonly epoch: number;
  readonly redelivered: number;
  readonly filterErrors: number;
  /** Keys whose next event waits behind one that is out or being retried, longest wait first. */
  readonly stuckKeys: readonly StuckKey[];
  /** Of the held events those that wait in the store, and of how many keys they are. */
  readonly parked: number;
  readonly parkedKeys: number;
  /** Why nothing more is read: `memory`, `keys` or `cursor`; empty when that is not so. */
  readonly stopped: string;
  /** Held events that wait for the end of a delay, that of a retry or one that a consumer asked for. */
  readonly delayed: number;
  /** When the first of these is due, ms since the epoch; 0: none is delayed. */
  readonly nextDueMs: number;
  /** Held events that have failed, are due, and wait for room in `retryWindow`. */
  readonly paced: number;
  /** While retries are slowed down after an outage: how many may be out at a time; else 0. */
  readonly retryWindow: number;
}

export interface StuckKey {
  readonly topic: string;
  readonly key: string;
  /** Holder of the event; empty while it waits for its retry. */
  readonly consumer: string;
  readonly heldMs: number;
  /** Events behind it. */
  readonly waiting: number;
  /** Those of them that are not in memory and wait in the store. */
  readonly parked: number;
  readonly failures: number;
}

export interface SubscriptionWithStatus {
  readonly subscription: Subscription;
  readonly status: SubscriptionStatus;
}

/** Which sites have acknowledged an interest, and which could not be reached or did not in time. */
export interface Convergence {
  readonly convergedSites: readonly string[];
  readonly unreachableSites: readonly string[];
}

/** Durable subscriptions as resources. Errors: NotFound, AlreadyExists, PermissionDenied, … */
export interface SubscriptionsPort {
  create(session: Session, spec: SubscriptionInput): Promise<Subscription>;
  get(session: Session, name: string): Promise<SubscriptionWithStatus>;
  list(
    session: Session,
    page: { readonly size: number; readonly token: string },
  ): Promise<{ readonly items: readonly SubscriptionWithStatus[]; readonly nextToken: string }>;
  /**
   * Changes what is given, and leaves all else.
   * @throws InvalidArgument for another mode, delivery class or ephemeral, and for a part of a broadcast;
   *   Aborted (`revision`) when a revision was given and is not the present one.
   */
  update(session: Session, change: SubscriptionChange): Promise<Subscription>;
  /** Of a part of a broadcast: it runs while neither it nor its whole is paused. */
  pause(session: Session, name: string, paused: boolean): Promise<Subscription>;
  seek(session: Session, name: string, start: Start): Promise<Subscription>;
  delete(session: Session, name: string): Promise<void>;
  /** Waits until every reachable site knows this site's interest as it is now, at most so long. */
  converge(session: Session, timeoutMs: number): Promise<Convergence>;
}

/**
 * What the mesh offers to protocol adapters. It owns identity, authorisation, routing and
 * durability; the adapter owns bytes, frames, sessions and protocol limits.
 */
export interface MeshPort {
  readonly site: string;
  /** Largest event in bytes (CloudEvents protobuf encoding), for limits before allocation. */
  readonly eventBytesMax: number;
  /** Aborts when the emesher drains: refuse new work, end streams cleanly. */
  readonly draining: AbortSignal;

  /**
   * @param authorization The value of an HTTP `Authorization` header or its like; undefined when
   *   the caller gave none.
   * @throws Unauthenticated; Unavailable when acl cannot answer.
   */
  authenticate(authorization: string | undefined): Promise<Session>;

  /**
   * Publishes events, in order; an outcome for each, in order. Resolves once all are stored (or
   * handed over, for the direct class). Never throws for a single event's fault.
   */
  publish(
    session: Session,
    items: readonly PublishItem[],
    options?: PublishOptions,
  ): Promise<readonly (Receipt | MeshError)[]>;

  /**
   * Publishes a request and resolves with the reply, an io.cloudevents.v1.CloudEvent.
   * @throws DeadlineExceeded; FailedPrecondition (NO_INTEREST); what `publish` answers for an event.
   */
  request(session: Session, item: PublishItem, options: RequestOptions): Promise<Uint8Array>;

  /** @throws NotFound, PermissionDenied, FailedPrecondition (exclusive), Unavailable. */
  attach(session: Session, options: AttachOptions, sink: DeliverySink): Promise<Attachment>;

  readonly subscriptions: SubscriptionsPort;
  readonly deadLetters: DeadLettersPort;
  readonly replays: ReplaysPort;
  readonly inspect: InspectPort;
  readonly scheduled: ScheduledEventsPort;
}

/**
 * A protocol at the edge. Life: new → start (binds) → drain (refuse, finish, close) → stopped.
 * `drain` may be called once; `stop` at any time, and cuts what is left.
 */
export interface ProtocolAdapter {
  readonly name: string;
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
  stop(): Promise<void>;
  /** What is listened on, such as `{ http: '127.0.0.1:8080' }`; known after `start`. */
  addresses(): Readonly<Record<string, string>>;
}
