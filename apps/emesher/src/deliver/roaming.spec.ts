import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { Delivery, DeliverySink, Settled } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { movedError, type Hold } from './hold.ts';
import { Roaming } from './roaming.ts';

/** An owner: delivers as much as its credit allows, and notes what it is told. */
class Owner implements Hold {
  readonly settled: number[] = [];
  readonly sink: DeliverySink;
  events = 0;
  bytes = 0;
  detached = 0;

  constructor(sink: DeliverySink) {
    this.sink = sink;
  }

  credit(events: number, bytes: number): void {
    this.events += events;
    this.bytes += bytes;
  }

  drains = 0;
  /** Resolves a drain. */
  drained = (): void => undefined;

  drain(): Promise<void> {
    this.drains++;
    return new Promise((resolve) => {
      this.drained = () => {
        this.events = 0;
        this.bytes = 0;
        resolve();
      };
    });
  }

  settle(ids: readonly number[]): Settled {
    this.settled.push(...ids);
    return { refused: [], count: ids.length };
  }

  detach(): Promise<void> {
    this.detached++;
    return Promise.resolve();
  }

  deliver(count: number): void {
    const events = Math.min(count, this.events);
    this.events -= events;
    this.sink.deliver(Array.from({ length: events }, () => EVENT));
  }
}

const EVENT: Delivery = {
  id: 1,
  attempt: 1,
  topic: 'a',
  event: new Uint8Array(10),
  partition: 0,
  position: 1,
  originSite: 'west',
  ingressTimeUs: 0,
};

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A consumer, the owners that it went through, and what it was told. */
async function roam(refuse: (attempt: number) => MeshError | undefined = () => undefined) {
  const owners: Owner[] = [];
  const told = { events: 0, refused: [] as number[], ended: [] as (MeshError | undefined)[] };
  let attempts = 0;
  const roaming = await Roaming.open({
    subscription: 'work',
    leaseMs: 5000,
    sink: {
      deliver: (deliveries) => (told.events += deliveries.length),
      gap: () => undefined,
      refused: (ids) => told.refused.push(...ids),
      ended: (reason) => told.ended.push(reason),
    },
    take: (sink) => {
      const error = refuse(attempts++);
      if (error !== undefined) return Promise.reject(error);
      const owner = new Owner(sink);
      owners.push(owner);
      return Promise.resolve(owner);
    },
    pause: () => turn().then(() => undefined),
  });
  const owner = () => {
    const last = owners.at(-1);
    if (last === undefined) throw new Error('nobody owns it');
    return last;
  };
  return { roaming, owners, owner, told };
}

const STEP = fc.oneof(
  fc.record({ kind: fc.constant('credit' as const), count: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ kind: fc.constant('move' as const), count: fc.constant(0) }),
);

describe('a hold that moves from owner to owner', () => {
  it('never gets more than the consumer gave, and leaves none of it unused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { maxLength: 40 }), async (steps) => {
        const { roaming, owner, told } = await roam();
        let given = 0;
        for (const { kind, count } of steps) {
          if (kind === 'credit') {
            given += count;
            roaming.credit(count, 0);
          } else if (kind === 'deliver') owner().deliver(count);
          else {
            owner().sink.ended(movedError('work'));
            await turn();
          }
          expect(told.events + owner().events).toBe(given);
        }
        owner().deliver(Infinity);
        expect(told.events).toBe(given);
      }),
    );
  });

  it('gives a new owner no bytes rather than any number when the old one has used them up', async () => {
    const { roaming, owner } = await roam();
    roaming.credit(10, 15);
    owner().deliver(2);
    owner().sink.ended(movedError('work'));
    await turn();
    expect([owner().events, owner().bytes]).toEqual([0, 0]);
    roaming.credit(0, 100);
    expect([owner().events, owner().bytes]).toEqual([8, 95]);
  });

  it('has no credit any more when it is drained, whoever owns it then', async () => {
    const { roaming, owner, owners, told } = await roam();
    roaming.credit(10, 100);
    const draining = roaming.drain();
    // What is there comes first.
    owner().deliver(2);
    // The owner goes before it has said so, and so does what it was asked.
    owner().sink.ended(movedError('work'));
    await turn();
    owners[0]?.drained();
    await draining;
    expect([told.events, owner().events, owner().bytes]).toEqual([2, 0, 0]);
    // Credit begins anew, without bytes this time.
    roaming.credit(1, 0);
    expect([owner().events, owner().bytes]).toEqual([1, 0]);
    const again = roaming.drain();
    owner().drained();
    await again;
    owner().sink.ended(movedError('work'));
    await turn();
    expect([owners.length, owner().events]).toEqual([3, 0]);
  });

  it('hears nothing more of a former owner, and gives its place back', async () => {
    const { roaming, owners, told } = await roam();
    roaming.credit(5, 0);
    owners[0]?.sink.ended(movedError('work'));
    await turn();
    owners[0]?.sink.deliver([EVENT]);
    owners[0]?.sink.refused([1]);
    owners[0]?.sink.ended(new MeshError('NotFound', 'gone'));
    expect(told).toEqual({ events: 0, refused: [], ended: [] });
    expect(owners.map(({ detached }) => detached)).toEqual([1, 0]);
  });

  it('refuses what is settled while nobody owns it', async () => {
    const away = new MeshError('Unavailable', 'the registry is away');
    const { roaming, owner } = await roam((attempt) => (attempt === 0 ? undefined : away));
    owner().sink.ended(movedError('work'));
    expect(roaming.settle([1, 2], { kind: 'accept' }, false)).toEqual({
      refused: [1, 2],
      count: 0,
    });
    await roaming.detach();
  });

  it.each([
    ['its deletion', new MeshError('NotFound', 'deleted')],
    ['a seek', new MeshError('Aborted', 'moved', { reason: 'SEEK' })],
    ['the drain of this emesher', new MeshError('Unavailable', 'x', { reason: 'DRAINING' })],
    ['the end of a replay', undefined],
  ])('ends with %s', async (_, reason) => {
    const { owners, told } = await roam();
    owners[0]?.sink.ended(reason);
    await turn();
    expect([told.ended, owners.length]).toEqual([[reason], 1]);
  });

  it('ends with the reason of a new owner that has no place for it', async () => {
    const exclusive = new MeshError('FailedPrecondition', 'taken', { reason: 'EXCLUSIVE' });
    const { owners, told } = await roam((attempt) => (attempt === 0 ? undefined : exclusive));
    owners[0]?.sink.ended(movedError('work'));
    await turn();
    await turn();
    expect(told.ended).toEqual([exclusive]);
  });

  it('says why nobody serves it when its owner cannot be called', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate'] });
    try {
      const untrusted = new MeshError('Unavailable', 'self-signed certificate');
      const opening = roam(() => {
        jest.advanceTimersByTime(1000);
        return movedError('work', untrusted);
      });
      await expect(opening).rejects.toMatchObject({
        code: 'Unavailable',
        reason: 'NO_OWNER',
        message: 'no emesher of this site serves "work" now (self-signed certificate); try again',
      });
    } finally {
      jest.useRealTimers();
    }
  });

  it('tries again while the old owner is not known to be gone, at first too', async () => {
    const { owners } = await roam((attempt) => (attempt < 3 ? movedError('work') : undefined));
    expect(owners).toHaveLength(1);
  });
});
