import { describe, expect, it } from '@jest/globals';
import type { Attachment } from '@eventmesh/adapter-api';
import { PullConsumer } from './pull-consumer.ts';

const PRINCIPAL = { tenant: 'default', kind: 'user', name: 'alice', roles: [] } as const;
const LIMITS = { bytesMax: 1000, messagesMax: 3 };

const delivery = (bytes: number) => ({
  id: 1,
  attempt: 1,
  topic: 'a',
  event: Buffer.alloc(bytes),
  partition: 0,
  position: 1,
  originSite: 'west',
  ingressTimeUs: 0,
});

async function rig() {
  const calls = { gone: 0, detached: 0, bytes: 0 };
  const attachment = {
    credit: (_: number, bytes = 0) => {
      calls.bytes += bytes;
    },
    detach: () => {
      calls.detached++;
      return Promise.resolve();
    },
  };
  const consumer = new PullConsumer(PRINCIPAL, LIMITS, () => calls.gone++);
  await consumer.attach(() => Promise.resolve(attachment as unknown as Attachment));
  const pull = (maxBytes = 1000) =>
    consumer.pull({ max: 10, maxBytes }, 0, new AbortController().signal);
  return { consumer, calls, pull };
}

describe('what waits for a pull', () => {
  it('is bounded in bytes by the credit that pulls give', async () => {
    const { consumer, calls, pull } = await rig();
    await pull();
    expect(calls.bytes).toBe(1000);
    consumer.deliver([delivery(600)]);
    expect(consumer.bytes).toBe(600);
    expect((await pull()).deliveries).toHaveLength(1);
    expect(consumer.bytes).toBe(0);
    await pull();
    // What was given is used before there is more.
    expect(calls.bytes).toBe(1600);
  });

  it('is given in parts of at most so many bytes, and one event always is', async () => {
    const { consumer, pull } = await rig();
    await pull();
    consumer.deliver([100, 100, 100, 500, 100].map(delivery));
    const given = [];
    for (const bytes of [299, 300, 600, 300]) given.push((await pull(bytes)).deliveries.length);
    expect(given).toEqual([2, 1, 2, 0]);
    consumer.deliver([delivery(500), delivery(1)]);
    expect((await pull(1)).deliveries).toHaveLength(1);
    expect((await pull(1)).deliveries).toHaveLength(1);
  });

  it('is the newest of the refused settles', async () => {
    const { consumer, pull } = await rig();
    for (const id of [1, 2, 3, 4, 5]) consumer.refused([id]);
    expect(consumer.messages).toBe(3);
    expect((await pull()).refused).toEqual([3, 4, 5]);
    expect(consumer.messages).toBe(0);
  });

  it('is every gap, or the end of the consumer', async () => {
    const { consumer, calls, pull } = await rig();
    for (const from of [1, 3, 5, 7]) consumer.gap({ partition: 0, from, to: from });
    expect([calls.gone, calls.detached]).toEqual([1, 1]);
    await expect(pull()).rejects.toMatchObject({ details: { reason: 'CONSUMER_STALLED' } });
  });
});
