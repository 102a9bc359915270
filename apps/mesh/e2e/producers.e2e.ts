import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError, type Receipt } from '@eventmesh/sdk';
import { eventually, startProxy, tempDir, type FaultProxy } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';

const TEST_MS = 120_000;

const dir = tempDir('producers');
let site: OneSite;
let proxy: FaultProxy;

const event = (id: string) => ({ id, source: '/producer', type: 'test', data: 'x' });
const entries = (topic: string, prefix: string, from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ topic, event: event(`${prefix}-${from + n}`) }));
const duplicates = (outcomes: readonly (Receipt | MeshError)[]) =>
  outcomes.filter((outcome) => !(outcome instanceof MeshError) && outcome.duplicate).length;

beforeAll(async () => {
  // No window: only the numbers of a producer tell what was stored before.
  site = await OneSite.start(dir.path, { log: { duplicateWindow: 0, partitions: 2 } });
  proxy = await startProxy({ port: site.grpcPort });
}, TEST_MS);

afterAll(async () => {
  await proxy?.close();
  await site?.stop();
  dir.remove();
}, 30_000);

/** The ids of what is stored of a topic, once all of it is. */
async function stored(topic: string): Promise<string[]> {
  await site.client('publisher').publish(topic, event('end'));
  return (await site.stored(topic, 'end')).map(({ id }) => id);
}

describe('an idempotent producer', () => {
  it(
    'has each event stored once when the site is killed after it stored and before it answered',
    async () => {
      const stream = site
        .client('publisher', proxy.port)
        .publisher({ producer: { id: 'cut', epoch: 1 } });
      const first = await stream.publishMany(entries('cut', 'c', 0, 100));
      expect(duplicates(first)).toBe(0);
      const accepted = () => site.metric('eventmesh_events_accepted_total', { class: 'durable' });
      const before = await accepted();
      proxy.stallOneWay('to-client');
      const unanswered = stream.publishMany(entries('cut', 'c', 100, 300));
      // It is in the store, and its answer is on a wire that nobody hears.
      await eventually(async () => expect(await accepted()).toBe(before + 300));
      await site.process.kill();
      // What was on the wire is gone with its connection.
      proxy.cut();
      proxy.heal();
      await site.process.start();
      const outcomes = await unanswered;
      expect(duplicates(outcomes)).toBe(300);
      expect(duplicates(await stream.publishMany(entries('cut', 'c', 400, 100)))).toBe(0);
      await stream.close();
      const ids = await stored('cut');
      expect(ids).toEqual(Array.from({ length: 500 }, (_, n) => `c-${n}`));
    },
    TEST_MS,
  );

  it(
    'has each event stored once, in order, under load and any number of crashes',
    async () => {
      const count = 6000;
      const stream = site
        .client('publisher')
        .publisher({ producer: { id: 'load', epoch: 7 }, giveUpAfterMs: 60_000 });
      let answered = 0;
      const publishing = (async () => {
        for (let from = 0; from < count; from += 50) {
          const outcomes = await stream.publishMany(entries('load', 'l', from, 50));
          answered += outcomes.filter((outcome) => !(outcome instanceof MeshError)).length;
        }
      })();
      for (let crash = 1; crash <= 3; crash++) {
        await eventually(() => expect(answered).toBeGreaterThan((crash * count) / 6), {
          timeoutMs: 30_000,
        });
        await site.crash();
      }
      await publishing;
      await stream.close();
      expect(answered).toBe(count);
      expect(await stored('load')).toEqual(Array.from({ length: count }, (_, n) => `l-${n}`));
    },
    TEST_MS,
  );

  it('is shut out by a later start of itself', async () => {
    const publisher = site.client('publisher');
    const old = publisher.publisher({ producer: { id: 'fence', epoch: 1 } });
    await old.publish('fence', event('f-1'));
    const next = publisher.publisher({ producer: { id: 'fence', epoch: 2 } });
    await next.publish('fence', event('f-2'));
    await expect(old.publish('fence', event('f-3'))).rejects.toMatchObject({
      code: 'Aborted',
      reason: 'PRODUCER_FENCED',
    });
    await next.publish('fence', event('f-4'));
    await Promise.all([old.close(), next.close()]);
    expect(await stored('fence')).toEqual(['f-1', 'f-2', 'f-4']);
  });

  it('goes on after an event that is refused, whose number is then missing', async () => {
    const stream = site.client('publisher').publisher({ producer: { id: 'gaps', epoch: 1 } });
    const outcomes = await stream.publishMany([
      { topic: 'gaps', event: event('g-1') },
      { topic: 'gaps/#', event: event('g-2') },
      { topic: 'gaps', event: event('g-3') },
    ]);
    expect(outcomes.map((outcome) => outcome instanceof MeshError)).toEqual([false, true, false]);
    await stream.close();
    expect(await stored('gaps')).toEqual(['g-1', 'g-3']);
  });

  it('has an event for later published once, though it is sent again when that was done', async () => {
    const { publisherService } = site.client('publisher');
    const deliverAtMs = BigInt(Date.now() + 500);
    const batch = async (sequence: bigint, id: string) => {
      const about = { id, source: '/producer', type: 't', specVersion: '1.0' };
      const { outcomes } = await publisherService.publishBatch({
        events: [{ topic: 'later', sequence, deliverAtMs, event: about }],
        producer: { id: 'later', epoch: 1n },
      });
      const [first] = outcomes;
      return first?.outcome.case === 'receipt' ? first.outcome.value.duplicate : first?.outcome;
    };
    const pending = () => site.metric('eventmesh_timers_pending');
    expect(await batch(1n, 'l-1')).toBe(false);
    await eventually(async () => {
      expect(Date.now()).toBeGreaterThan(Number(deliverAtMs));
      expect(await pending()).toBe(0);
    });
    expect(await batch(1n, 'l-1')).toBe(true);
    // One that comes late for the first time is published at once.
    expect(await batch(2n, 'l-2')).toBe(false);
    expect(await batch(2n, 'l-2')).toBe(true);
    const fired = () => site.metric('eventmesh_timers_total', { outcome: 'fire' });
    await eventually(async () => expect(await fired()).toBe(2));
    expect(await stored('later')).toEqual(['l-1', 'l-2']);
  });

  it('is the tenant’s own and has a name, an epoch and numbers that are checked', async () => {
    const { publisherService } = site.client('publisher');
    const item = { topic: 'bad', sequence: 1n };
    const batch = (producer: { id: string; epoch: bigint }, sequence = 1n) =>
      publisherService.publishBatch({
        events: [
          {
            ...item,
            sequence,
            event: { id: '1', source: '/s', type: 't', specVersion: '1.0' },
          },
        ],
        producer,
      });
    await expect(batch({ id: 'a b', epoch: 1n })).rejects.toMatchObject({
      details: { field: 'producer.id' },
    });
    await expect(batch({ id: 'a', epoch: 0n })).rejects.toMatchObject({
      details: { field: 'producer.epoch' },
    });
    const { outcomes } = await batch({ id: 'a', epoch: 1n }, 0n);
    expect(outcomes[0]?.outcome).toMatchObject({ case: 'failure', value: { field: 'sequence' } });
  });
});
