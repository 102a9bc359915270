import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionInput } from '@eventmesh/delivery';
import type { Delivery, MeshClient } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';

const dir = tempDir('retries');
let site: OneSite;
let publisher: MeshClient;
let count = 0;

beforeAll(async () => {
  site = await OneSite.start(dir.path);
  publisher = site.client('publisher');
}, 60_000);

afterAll(async () => {
  await site?.stop();
  dir.remove();
});

const publish = (topic: string, id: string, extensions: Readonly<Record<string, string>> = {}) =>
  publisher.publish(topic, { id, source: `/${topic}`, type: 't', extensions });

/** Consumes a new subscription, and answers what it was given, with when. */
async function consume(
  spec: Omit<SubscriptionInput, 'name' | 'topicFilters'>,
  settle: (delivery: Delivery) => void,
) {
  const name = `retries-${++count}`;
  const topic = `retries/${count}`;
  const leave = new AbortController();
  const got: { readonly id: string; readonly attempt: number; readonly atMs: number }[] = [];
  const stream = site.client('subscriber').subscribe({
    subscription: { name, topicFilters: [topic], ...spec },
    signal: leave.signal,
  });
  const ended = (async () => {
    for await (const delivery of stream) {
      got.push({ id: delivery.event.id, attempt: delivery.attempt, atMs: performance.now() });
      settle(delivery);
    }
  })().catch(() => undefined); // The test leaves.
  await stream.opened;
  const end = async () => {
    leave.abort();
    await ended;
  };
  return { name, topic, got, end };
}

const letters = async (subscription: string) => {
  const { deadLetters } = await site.deadLetters.list({ selection: { subscription } });
  return deadLetters.map(({ eventId, cause, attempts }) => ({ eventId, cause, attempts }));
};

describe('a failed delivery', () => {
  it.each([
    ['list', { kind: 'list', delaysMs: [50, 200], attemptsMax: 4 }, [45, 180, 180], 4],
    ['linear', { kind: 'linear', delayMs: 50, attemptsMax: 3 }, [45, 90], 3],
    ['exponential', { kind: 'exponential', delayMs: 80, attemptsMax: 3 }, [40, 80], 3],
    ['none', { kind: 'none' }, [], 1],
  ] as const)(
    'comes again as the policy %s says, and at last becomes a dead letter',
    async (_, retry, pauses, attempts) => {
      const { name, topic, got, end } = await consume({ retry }, (delivery) => delivery.release());
      await publish(topic, 'bad');
      await eventually(async () =>
        expect(await letters(name)).toEqual([
          { eventId: 'bad', cause: expect.stringContaining('released'), attempts },
        ]),
      );
      await end();
      expect(got.map(({ attempt }) => attempt)).toEqual(
        Array.from({ length: attempts }, (__, n) => n + 1),
      );
      for (const [n, pauseMs] of pauses.entries()) {
        expect((got[n + 1]?.atMs ?? 0) - (got[n]?.atMs ?? 0)).toBeGreaterThanOrEqual(pauseMs);
      }
    },
    30_000,
  );

  it('is the last one of an event that is older than the policy allows', async () => {
    const retry = { kind: 'linear', delayMs: 1, attemptsMax: 1000, ageMaxMs: 200 } as const;
    const { name, topic, got, end } = await consume({ retry }, (delivery) => delivery.release());
    await publish(topic, 'old');
    await eventually(async () =>
      expect(await letters(name)).toMatchObject([
        { eventId: 'old', cause: expect.stringMatching(/^older than 200 ms/) },
      ]),
    );
    await end();
    expect(got.length).toBeLessThan(1000);
  });

  it('burns no budget when the consumer asks for the delay or goes away', async () => {
    const retry = { kind: 'none' } as const;
    const first = await consume({ retry }, (delivery) => {
      if (delivery.attempt < 5) delivery.release(1);
    });
    await publish(first.topic, 'patient');
    await eventually(() =>
      expect(first.got.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]),
    );
    await first.end();
    const stream = site.client('subscriber').subscribe({ subscription: first.name });
    for await (const delivery of stream) {
      expect(delivery.event.id).toBe('patient');
      delivery.accept();
      break;
    }
    expect(await letters(first.name)).toEqual([]);
  });
});

describe('an event whose life is over', () => {
  const over = { expirytime: '2020-01-01T00:00:00Z' };

  it('is not delivered, and is counted', async () => {
    const { name, topic, got, end } = await consume({}, (delivery) => delivery.accept());
    await publish(topic, 'over', over);
    await publish(topic, 'next');
    await eventually(() => expect(got.map(({ id }) => id)).toEqual(['next']));
    const { status } = await site.client('subscriber').subscriptions.getSubscription({ name });
    expect(status).toMatchObject({ expired: 1n, delivered: 1n, deadLettered: 0n });
    await end();
  });

  it('is kept as a dead letter when the subscription asks for it', async () => {
    const spec = { deadLetterExpired: true };
    const { name, topic, got, end } = await consume(spec, (delivery) => delivery.accept());
    await publish(topic, 'over', over);
    await publish(topic, 'next');
    await eventually(async () =>
      expect(await letters(name)).toMatchObject([{ eventId: 'over', cause: 'expired' }]),
    );
    await eventually(() => expect(got.map(({ id }) => id)).toEqual(['next']));
    await end();
  });
});
