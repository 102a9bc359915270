import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MeshPort, ProtocolAdapter } from '@eventmesh/adapter-api';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import { eventually } from './eventually.ts';
import { MemoryMesh } from './memory-mesh.ts';

/** An event as a wire client sends it: a CloudEvent with these attributes and this data. */
export interface WireEvent {
  readonly topic: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Sent as `text/plain`. */
  readonly data: string;
}

export interface WireReceipt {
  readonly partition: number;
  readonly position: number;
  readonly duplicate: boolean;
}

export interface WireDelivery {
  readonly topic: string;
  readonly id: string;
  readonly data: string;
  readonly attempt: number;
}

/** A refusal as it came over the wire, in the mesh's own terms. */
export class WireRefusal extends Error {
  readonly code: MeshCode;
  readonly reason: string;

  constructor(code: MeshCode, message: string, reason: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** One consumer of a durable subscription that settles explicitly. */
export interface WireStream {
  /** What has arrived so far, in order. */
  readonly deliveries: readonly WireDelivery[];
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
  /** Settles a delivery of this stream; resolves when the server has answered, if it does. */
  settle(delivery: WireDelivery, outcome: 'accept' | 'release' | 'reject'): Promise<void>;
  /** Stops reading, so that the connection fills up; `resume` reads on. */
  pause(): void;
  resume(): void;
  /** Leaves without a word about what is not settled. */
  close(): Promise<void>;
}

/** The least a client of a protocol must do to be led through the contract. */
export interface WireClient {
  /** Publishes durably and waits for the protocol's acknowledgement. @throws WireRefusal. */
  publish(event: WireEvent): Promise<WireReceipt>;
  /** Consumes a subscription with this much credit at a time. @throws WireRefusal. */
  subscribe(subscription: string, credit: number): Promise<WireStream>;
  close(): Promise<void>;
}

export interface AdapterUnderTest {
  /** Makes the adapter on a free port; the suite starts and stops it. */
  makeAdapter(port: MeshPort): ProtocolAdapter;
  /** Connects to a started adapter with an `Authorization` value, or none. */
  connect(
    addresses: Readonly<Record<string, string>>,
    authorization: string | undefined,
  ): Promise<WireClient>;
}

/** Data that a client which does not read may make the adapter and the two kernels hold. */
const UNREAD_BYTES_MAX = 20 * 1024 * 1024;

/** What every protocol adapter must do, shown over its wire against a mesh in memory. */
export function describeAdapterContract(name: string, under: AdapterUnderTest): void {
  describe(`${name}: adapter contract`, () => {
    let mesh: MemoryMesh;
    let adapter: ProtocolAdapter;
    let clients: WireClient[];

    const connect = async (authorization: string | undefined): Promise<WireClient> => {
      const client = await under.connect(adapter.addresses(), authorization);
      clients.push(client);
      return client;
    };
    const alice = (): Promise<WireClient> => connect('Bearer alice');
    const subscription = async (topicFilter = 'orders/#', inFlightMax = 1024): Promise<string> => {
      const session = await mesh.authenticate('Bearer alice');
      const topicFilters = [topicFilter];
      await mesh.subscriptions.create(session, { name: 'work', topicFilters, inFlightMax });
      return 'work';
    };

    beforeEach(async () => {
      mesh = new MemoryMesh();
      adapter = under.makeAdapter(mesh);
      clients = [];
      await adapter.start();
    });

    afterEach(async () => {
      await Promise.all(clients.map((client) => client.close()));
      await adapter.stop();
      mesh.close();
    });

    it('says where it listens once started', () => {
      expect(Object.values(adapter.addresses())[0]).toMatch(/:[1-9]\d*$/);
    });

    it('acknowledges a publish with the receipt of the store, data byte for byte', async () => {
      const client = await alice();
      const receipt = await client.publish(event(1, { data: 'grüße \n 🌍' }));
      expect(receipt).toEqual({ partition: 0, position: 1, duplicate: false });
      const [stored] = mesh.log[0] ?? [];
      expect(stored?.topic).toBe('orders/eu');
      expect(Buffer.from(stored?.view.data?.bytes ?? []).toString()).toBe('grüße \n 🌍');
    });

    it('tells of a duplicate with the place of the first', async () => {
      const client = await alice();
      await client.publish(event(1));
      expect(await client.publish(event(1))).toEqual({
        partition: 0,
        position: 1,
        duplicate: true,
      });
    });

    it.each<[string, Partial<WireEvent>, MeshCode]>([
      ['a wildcard in the topic', { topic: 'orders/+' }, 'InvalidArgument'],
      ['a reserved topic', { topic: '$mesh/x' }, 'InvalidArgument'],
      ['an event without a source', { source: '' }, 'InvalidArgument'],
      ['an event beyond the size limit', { data: 'x'.repeat(1024 * 1024) }, 'PayloadTooLarge'],
    ])('refuses %s and stores nothing', async (_, change, code) => {
      const refusal = await refused((await alice()).publish(event(1, change)));
      expect(refusal.code).toBe(code);
      expect(mesh.log.flat()).toHaveLength(0);
    });

    it('refuses a topic that the caller may not publish to, naming it', async () => {
      const refusal = await refused((await connect('Bearer reader')).publish(event(1)));
      expect(refusal).toMatchObject({ code: 'PermissionDenied', reason: 'NO_GRANT' });
      expect(refusal.message).toContain('"orders/eu"');
      expect(mesh.log.flat()).toHaveLength(0);
    });

    it.each([
      ['no credentials', undefined],
      ['wrong credentials', 'Bearer nobody'],
    ])('refuses publish and subscribe with %s', async (_, authorization) => {
      await subscription();
      const attempts = [
        async () => (await connect(authorization)).publish(event(1)),
        async () => (await connect(authorization)).subscribe('work', 1),
      ];
      for (const attempt of attempts) {
        expect((await refused(attempt())).code).toBe('Unauthenticated');
      }
      expect(mesh.log.flat()).toHaveLength(0);
    });

    it('keeps tenants apart: another tenant finds no such subscription', async () => {
      await subscription();
      const refusal = await refused((await connect('Bearer mallory')).subscribe('work', 1));
      expect(refusal.code).toBe('NotFound');
    });

    it('delivers in order what is published before and after the subscribe', async () => {
      await subscription();
      const client = await alice();
      for (let n = 1; n <= 3; n++) await client.publish(event(n));
      const stream = await client.subscribe('work', 10);
      for (let n = 4; n <= 6; n++) await client.publish(event(n));
      await arrived(stream, 6);
      expect(stream.deliveries.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '6']);
      expect(stream.deliveries[5]).toMatchObject({
        topic: 'orders/eu',
        data: 'data 6',
        attempt: 1,
      });
    });

    it('accepts: the delivery is done and the books say so', async () => {
      const stream = await streamOfOne();
      await stream.settle(first(stream), 'accept');
      await eventually(() => expect(mesh.subscription('work').status().delivered).toBe(1));
      expect(mesh.subscription('work').unsettled).toHaveLength(0);
    });

    it('releases: the delivery comes again as a later attempt', async () => {
      const stream = await streamOfOne();
      await stream.settle(first(stream), 'release');
      await arrived(stream, 2);
      expect(stream.deliveries.map(({ id, attempt }) => [id, attempt])).toEqual([
        ['1', 1],
        ['1', 2],
      ]);
    });

    it('rejects: the event is dead-lettered and does not come again', async () => {
      const stream = await streamOfOne();
      await stream.settle(first(stream), 'reject');
      await eventually(() => expect(mesh.subscription('work').deadLetters).toHaveLength(1));
      expect(stream.deliveries).toHaveLength(1);
    });

    it('releases what is not settled when a consumer leaves', async () => {
      const stream = await streamOfOne();
      await stream.close();
      await eventually(() => expect(mesh.subscription('work').consumers).toHaveLength(0));
      const again = await (await alice()).subscribe('work', 10);
      await arrived(again, 1);
      expect(first(again)).toMatchObject({ id: '1', attempt: 2 });
    });

    it('takes no more than the credit, and a bounded number of bytes from a slow reader', async () => {
      await subscription();
      const client = await alice();
      const stream = await client.subscribe('work', 8);
      stream.pause();
      const data = 'x'.repeat(128 * 1024);
      const count = 250;
      for (let n = 1; n <= count; n++) await client.publish(event(n, { data }));
      const taken = (): number => mesh.subscription('work').unsettled.length;
      expect(taken()).toBeGreaterThan(0);
      expect(taken() * data.length).toBeLessThan(UNREAD_BYTES_MAX);
      stream.resume();
      // Clients that bound what is unsettled, not what is unread, go on by settling.
      for (let done = 0; done < count;) {
        await arrived(stream, done + 1);
        const fresh = stream.deliveries.slice(done);
        for (const delivery of fresh) await stream.settle(delivery, 'accept');
        done += fresh.length;
      }
      expect(new Set(stream.deliveries.map(({ id }) => id)).size).toBe(count);
    });

    it('ends the stream when the mesh ends the attachment', async () => {
      const stream = await streamOfOne();
      mesh.endConsumers('work', new MeshError('PermissionDenied', 'the right was withdrawn'));
      await stream.ended;
    });

    it('drains: ends streams, refuses new work, releases what is not settled, and is done', async () => {
      const stream = await streamOfOne();
      mesh.drain();
      const drained = adapter.drain(10_000);
      await stream.ended;
      await stream.close();
      await Promise.all(clients.splice(0).map((client) => client.close()));
      await drained;
      expect(mesh.subscription('work').consumers).toHaveLength(0);
      expect(mesh.subscription('work').status().held).toBe(1);
      await expect(alice().then((client) => client.publish(event(2)))).rejects.toThrow();
      expect(mesh.log.flat()).toHaveLength(1);
    });

    async function streamOfOne(): Promise<WireStream> {
      await subscription();
      const client = await alice();
      const stream = await client.subscribe('work', 10);
      await client.publish(event(1));
      await arrived(stream, 1);
      return stream;
    }
  });
}

const event = (n: number, change: Partial<WireEvent> = {}): WireEvent => ({
  topic: 'orders/eu',
  id: String(n),
  source: '/contract',
  type: 'com.example.order',
  data: `data ${n}`,
  ...change,
});

const arrived = (stream: WireStream, count: number): Promise<void> =>
  eventually(() => expect(stream.deliveries.length).toBeGreaterThanOrEqual(count));

function first(stream: WireStream): WireDelivery {
  const [delivery] = stream.deliveries;
  if (delivery === undefined) throw new Error('nothing was delivered');
  return delivery;
}

async function refused(attempt: Promise<unknown>): Promise<WireRefusal> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof WireRefusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
