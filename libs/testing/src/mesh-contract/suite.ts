import { expect } from '@jest/globals';
import type {
  AttachOptions,
  Attachment,
  Delivery,
  DeliverySink,
  Gap,
  MeshPort,
  PublishItem,
  PublishOptions,
  Receipt,
  Session,
  SubscriptionStatus,
} from '@eventmesh/adapter-api';
import type { Subscription, SubscriptionInput } from '@eventmesh/delivery';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import { EventView, encodeEvent, type AttributeValue } from '@eventmesh/event';
import { eventually } from '../eventually.ts';

/** Callers that the mesh under test knows. */
export type Caller = 'alice' | 'reader' | 'mallory';

/** A mesh of one site with four partitions for each tenant, and nothing in it. */
export interface MeshUnderTest {
  readonly port: MeshPort;
  /**
   * Values of an `Authorization` header: `alice` may publish and subscribe to everything, `reader`, of
   * the same tenant, may subscribe to `public/#` alone; `mallory` may do everything in another tenant.
   */
  readonly authorization: Readonly<Record<Caller, string>>;
  /**
   * Makes the store give up what of a partition of alice's tenant is before a position. `more` stores
   * another 64 KiB there, for one that gives up only what it has too much of.
   */
  forget(partition: number, before: number, more: () => Promise<unknown>): Promise<void>;
  /** Begins the drain. */
  drain(): void;
  /** Closes everything and removes the data. */
  dispose(): Promise<void>;
}

/** What a consumer was told, in order. */
export class RecordingSink implements DeliverySink {
  readonly deliveries: Delivery[] = [];
  readonly gaps: Gap[] = [];
  readonly refusedIds: number[] = [];
  /** How it ended; undefined while it has not. */
  end: { readonly reason: MeshError | undefined } | undefined;
  /** Calls after the end, of which there must be none. */
  late = 0;
  /** Called from within `deliver`, with what has come. */
  onDeliver: (deliveries: readonly Delivery[]) => void = () => undefined;
  #over = false;

  deliver(deliveries: readonly Delivery[]): void {
    this.#called();
    this.deliveries.push(...deliveries);
    this.onDeliver(deliveries);
  }

  gap(gap: Gap): void {
    this.#called();
    this.gaps.push(gap);
  }

  refused(ids: readonly number[]): void {
    this.#called();
    this.refusedIds.push(...ids);
  }

  ended(reason: MeshError | undefined): void {
    this.#called();
    this.end = { reason };
    this.#over = true;
  }

  /** From now on nothing may be called. */
  over(): void {
    this.#over = true;
  }

  get ids(): string[] {
    return this.deliveries.map(({ event }) => new EventView(event).id);
  }

  #called(): void {
    if (this.#over) this.late++;
  }
}

/** A consumer of the mesh under test. */
export class Consumer {
  readonly attachment: Attachment;
  readonly sink: RecordingSink;

  constructor(attachment: Attachment, sink: RecordingSink) {
    this.attachment = attachment;
    this.sink = sink;
  }

  /** Waits for so many deliveries, and answers the ids of all that came. */
  async got(count: number): Promise<string[]> {
    await eventually(() => expect(this.sink.deliveries.length).toBeGreaterThanOrEqual(count));
    return this.sink.ids;
  }

  /** The delivery that came as the n-th one, from 0. */
  async delivery(n: number): Promise<Delivery> {
    await this.got(n + 1);
    return this.sink.deliveries[n] as Delivery;
  }

  /** Takes its credit back, so that nothing more comes; answers the ids of all that came. */
  async drained(): Promise<string[]> {
    await this.attachment.drain();
    return this.sink.ids;
  }

  async leave(): Promise<void> {
    await this.attachment.detach();
    this.sink.over();
  }
}

export interface Published {
  readonly key?: string;
  readonly type?: string;
  readonly source?: string;
  readonly data?: string;
}

/** The mesh under test, its callers, and names that no other test has. */
export class Suite {
  readonly #make: () => Promise<MeshUnderTest>;
  readonly #consumers: Consumer[] = [];
  readonly #sessions = new Map<Caller, Session>();
  #under: MeshUnderTest | undefined;
  #names = 0;

  constructor(make: () => Promise<MeshUnderTest>) {
    this.#make = make;
  }

  async start(): Promise<void> {
    this.#under = await this.#make();
    for (const caller of ['alice', 'reader', 'mallory'] as const) {
      const session = await this.port.authenticate(this.under.authorization[caller]);
      this.#sessions.set(caller, session);
    }
  }

  async stop(): Promise<void> {
    await this.#under?.dispose();
  }

  /** After each test. */
  async detachAll(): Promise<void> {
    const consumers = this.#consumers.splice(0);
    for (const consumer of consumers) await consumer.leave();
    for (const { sink } of consumers) expect(sink.late).toBe(0);
  }

  get under(): MeshUnderTest {
    if (this.#under === undefined) throw new Error('the mesh under test did not start');
    return this.#under;
  }

  get port(): MeshPort {
    return this.under.port;
  }

  session(caller: Caller = 'alice'): Session {
    const session = this.#sessions.get(caller);
    if (session === undefined) throw new Error(`${caller} is not authenticated`);
    return session;
  }

  /** A name, and a topic, that no other test uses. */
  fresh(prefix = 'contract'): { readonly name: string; readonly topic: string } {
    const n = ++this.#names;
    return { name: `s${n}`, topic: `${prefix}/t${n}` };
  }

  /** A durable subscription to a topic of its own. */
  async subscription(
    more: Partial<SubscriptionInput> = {},
  ): Promise<{ readonly name: string; readonly topic: string; readonly made: Subscription }> {
    const { name, topic } = this.fresh();
    const spec = { name, topicFilters: [topic], ...more };
    return { name, topic, made: await this.port.subscriptions.create(this.session(), spec) };
  }

  async attach(options: AttachOptions, caller: Caller = 'alice'): Promise<Consumer> {
    const sink = new RecordingSink();
    const attachment = await this.port.attach(this.session(caller), options, sink);
    const consumer = new Consumer(attachment, sink);
    this.#consumers.push(consumer);
    return consumer;
  }

  /** Events with these ids; all of them must be taken. */
  async publish(topic: string, ids: readonly string[], more: Published = {}): Promise<Receipt[]> {
    return (await this.send(ids.map((id) => item(topic, id, more)))).map(receipt);
  }

  send(
    items: readonly PublishItem[],
    options: PublishOptions = {},
    caller: Caller = 'alice',
  ): Promise<readonly (Receipt | MeshError)[]> {
    return this.port.publish(this.session(caller), items, options);
  }

  async status(name: string): Promise<SubscriptionStatus> {
    return (await this.port.subscriptions.get(this.session(), name)).status;
  }

  /** Waits until the books of a subscription say this. */
  async books(name: string, wanted: Partial<SubscriptionStatus>): Promise<void> {
    await eventually(async () => expect(await this.status(name)).toMatchObject(wanted));
  }
}

/** An event to publish; ids of different topics are of different sources. */
export function item(topic: string, id: string, more: Published = {}): PublishItem {
  const { key, type = 'contract.event', source = `/${topic}`, data = '' } = more;
  const attributes: [string, AttributeValue][] =
    key === undefined ? [] : [['partitionkey', { kind: 'string', value: key }]];
  const bytes = Buffer.from(data);
  const event = encodeEvent({ id, source, type, attributes, data: { kind: 'binary', bytes } });
  return { topic, event };
}

export function receipt(outcome: Receipt | MeshError | undefined): Receipt {
  if (outcome === undefined) throw new Error('there is no outcome');
  if (outcome instanceof MeshError) throw outcome;
  return outcome;
}

/** What was refused, as an outcome or by a rejection. */
export async function refusal(attempt: Promise<unknown>): Promise<MeshError> {
  const outcome = await attempt.catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(MeshError);
  return outcome as MeshError;
}

/** The parts of a refusal that an adapter passes on. */
export const facts = ({ code, reason, details: { field, limit } }: MeshError) => ({
  code,
  reason,
  ...(field === undefined ? {} : { field }),
  ...(limit === undefined ? {} : { limit }),
});

export async function expectCode(attempt: Promise<unknown>, code: MeshCode): Promise<void> {
  expect((await refusal(attempt)).code).toBe(code);
}
