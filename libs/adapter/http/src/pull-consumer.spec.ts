import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Attachment, Delivery, SettleOutcome } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { Consumers } from './consumers.ts';
import { PullConsumer } from './pull-consumer.ts';

const PRINCIPAL = { tenant: 'default', kind: 'user', name: 'alice', roles: [] } as const;
const LIMITS = { messagesMax: 3 };

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));
const turns = async (count: number) => {
  for (let n = 0; n < count; n++) await turn();
};

/** What the consumer may know of a mesh: it delivers as credit allows, in a later turn. */
class Mesh {
  readonly subscription;
  readonly consumer = 'pull-alice';
  readonly waiting: Delivery[] = [];
  readonly returned: number[] = [];
  /** Credit that is left. */
  events = 0;
  bytes = 0;
  detached = 0;
  /** Most credit that there was at a time. */
  mostEvents = 0;
  sink: PullConsumer | undefined;
  #ids = 0;

  constructor(deliveryClass: 'durable' | 'direct') {
    this.subscription = { name: 'work', deliveryClass };
  }

  publish(...sizes: number[]): void {
    for (const bytes of sizes) {
      const place = { topic: 'a', partition: 0, originSite: 'west', ingressTimeUs: 0 };
      const id = ++this.#ids;
      this.waiting.push({ ...place, id, attempt: 1, position: id, event: Buffer.alloc(bytes) });
    }
    this.#schedule();
  }

  readonly credit = (events: number, bytes = 0): void => {
    this.events += events;
    this.bytes += bytes;
    this.mostEvents = Math.max(this.mostEvents, this.events);
    this.#schedule();
  };

  readonly drain = async (): Promise<void> => {
    await turn();
    this.events = 0;
    this.bytes = 0;
  };

  readonly settle = (ids: readonly number[], outcome: SettleOutcome) => {
    expect(outcome).toEqual({ kind: 'return' });
    this.returned.push(...ids);
    return { refused: [], count: ids.length };
  };

  readonly detach = (): Promise<void> => {
    this.detached++;
    return Promise.resolve();
  };

  #schedule(): void {
    setImmediate(() => {
      const batch: Delivery[] = [];
      while (this.events > 0 && this.bytes > 0) {
        const next = this.waiting.shift();
        if (next === undefined) break;
        this.events--;
        this.bytes -= next.event.length;
        batch.push(next);
      }
      if (batch.length > 0) this.sink?.deliver(batch);
    });
  }
}

async function rig(deliveryClass: 'durable' | 'direct' = 'durable') {
  const mesh = new Mesh(deliveryClass);
  let gone = 0;
  const consumer = new PullConsumer(PRINCIPAL, LIMITS, () => gone++);
  mesh.sink = consumer;
  await consumer.attach(() => Promise.resolve(mesh as unknown as Attachment));
  const pull = (given: { max?: number; maxBytes?: number; waitMs?: number } = {}) => {
    const { max = 10, maxBytes = 1000, waitMs = 0 } = given;
    const client = new AbortController();
    const answer = consumer.pull({ max, maxBytes }, waitMs, client.signal);
    const ids = answer.then(({ deliveries }) => deliveries.map(({ id }) => id));
    ids.catch(() => undefined); // Looked at by the test, or not.
    return { answer, ids, leave: () => client.abort() };
  };
  return { consumer, mesh, pull, gone: () => gone };
}

describe('a pull', () => {
  it('has credit for what it takes, and only while it waits', async () => {
    const { mesh, pull } = await rig();
    const waiting = pull({ max: 7, maxBytes: 300, waitMs: 60_000 });
    await turns(3);
    expect([mesh.events, mesh.bytes]).toEqual([7, 300]);
    mesh.publish(10);
    expect(await waiting.ids).toEqual([1]);
    expect([mesh.events, mesh.bytes]).toEqual([0, 0]);
    mesh.publish(10);
    await turns(3);
    expect(mesh.waiting).toHaveLength(1);
    expect(await pull().ids).toEqual([2]);
  });

  it('that finds nothing leaves nothing behind', async () => {
    const { mesh, pull, consumer } = await rig();
    expect(await pull().ids).toEqual([]);
    expect(await pull({ waitMs: 5 }).ids).toEqual([]);
    mesh.publish(10);
    await turns(3);
    expect([mesh.waiting.length, consumer.bytes]).toEqual([1, 0]);
  });

  it('takes at most so many bytes, but one event always, and gives the one that is over back', async () => {
    const { mesh, pull } = await rig();
    const given: number[] = [];
    for (const maxBytes of [299, 1]) {
      mesh.publish(100, 100, 100);
      given.push((await pull({ maxBytes }).ids).length);
    }
    expect([given, mesh.returned]).toEqual([[2, 1], [3]]);
    mesh.publish(2000);
    mesh.waiting.splice(0, mesh.waiting.length - 1);
    expect(await pull().ids).toHaveLength(1);
  });

  it('takes one event more of the direct class, which cannot be given back', async () => {
    const { mesh, pull } = await rig('direct');
    mesh.publish(100, 100, 100, 100);
    expect(await pull({ maxBytes: 250 }).ids).toEqual([1, 2, 3]);
    expect(mesh.returned).toEqual([]);
  });

  it('whose client has gone gives back what comes for it', async () => {
    const { mesh, pull } = await rig();
    const left = pull({ waitMs: 60_000 });
    await turns(3);
    left.leave();
    mesh.publish(10, 10);
    expect(await left.ids).toEqual([]);
    const still = mesh.waiting.map(({ id }) => id);
    expect([...mesh.returned, ...still]).toEqual([1, 2]);
    expect(mesh.events).toBe(0);
  });

  it('tells the newest of the refused settles', async () => {
    const { consumer, pull } = await rig();
    for (const id of [1, 2, 3, 4, 5]) consumer.refused([id]);
    expect(consumer.messages).toBe(3);
    expect((await pull().answer).refused).toEqual([3, 4, 5]);
    expect(consumer.messages).toBe(0);
  });

  it('tells every gap, or the end of the consumer', async () => {
    const { consumer, mesh, pull, gone } = await rig();
    for (const from of [1, 3, 5, 7]) consumer.gap({ partition: 0, from, to: from });
    expect([gone(), mesh.detached]).toEqual([1, 1]);
    await expect(pull().answer).rejects.toMatchObject({ details: { reason: 'CONSUMER_STALLED' } });
  });

  it('is not answered with what the mesh has released', async () => {
    const { consumer, mesh, pull } = await rig();
    mesh.publish(10);
    const { answer } = pull({ waitMs: 60_000 });
    await turn();
    consumer.ended(new MeshError('NotFound', 'deleted'));
    await expect(answer).rejects.toThrow('deleted');
  });
});

describe('pulls of one consumer at a time', () => {
  it('take turns, with the credit of one', async () => {
    const { mesh, pull } = await rig();
    const all = [1, 2, 3].map((max) => pull({ max, waitMs: 60_000 }));
    await turns(3);
    mesh.publish(1, 1, 1, 1, 1, 1);
    expect(await Promise.all(all.map(({ ids }) => ids))).toEqual([[1], [2, 3], [4, 5, 6]]);
    expect(mesh.mostEvents).toBe(3);
  });

  it('all find what is there, without a wait', async () => {
    const { mesh, pull } = await rig();
    mesh.publish(1, 1, 1);
    const all = [pull({ max: 1 }), pull({ max: 1 }), pull({ max: 1 })];
    expect(await Promise.all(all.map(({ ids }) => ids))).toEqual([[1], [2], [3]]);
  });

  it('end in time behind one that waits in vain', async () => {
    const { mesh, pull } = await rig();
    const first = pull({ waitMs: 60_000 });
    expect(await pull().ids).toEqual([]);
    expect(await pull({ waitMs: 5 }).ids).toEqual([]);
    const left = pull({ waitMs: 60_000 });
    left.leave();
    expect(await left.ids).toEqual([]);
    mesh.publish(1);
    expect(await first.ids).toEqual([1]);
  });

  it('get each event once, or give it back, whoever leaves when', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('pull' as const),
        max: fc.integer({ min: 1, max: 4 }),
        maxBytes: fc.constantFrom(1, 15, 1000),
        waitMs: fc.constantFrom(0, 0, 60_000),
      }),
      fc.record({ kind: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('leave' as const), at: fc.nat(5) }),
      fc.record({ kind: fc.constant('turn' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { mesh, pull } = await rig();
        const pulls: ReturnType<typeof pull>[] = [];
        let published = 0;
        for (const one of steps) {
          if (one.kind === 'pull') pulls.push(pull(one));
          else if (one.kind === 'leave') pulls[one.at]?.leave();
          else if (one.kind === 'turn') await turn();
          else {
            published += one.count;
            mesh.publish(...Array.from({ length: one.count }, () => 10));
          }
          expect(mesh.events).toBeLessThanOrEqual(4);
        }
        for (const { leave } of pulls) leave();
        const answered = (await Promise.all(pulls.map(({ ids }) => ids))).flat();
        const still = mesh.waiting.map(({ id }) => id);
        const all = [...answered, ...mesh.returned, ...still].sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: published }, (_, n) => n + 1));
        expect(mesh.events).toBe(0);
      }),
    );
  });
});

describe('a pull consumer', () => {
  it('is in use as long as something of it is settled', async () => {
    const { consumer } = await rig();
    const consumers = new Consumers();
    consumers.addPull('key', consumer);
    consumer.lastUsedMs = 0;
    consumers.settling(PRINCIPAL, 'work', undefined);
    expect(consumer.lastUsedMs).toBeGreaterThan(0);
  });
});
