import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DeliveryEngine, checkSubscription } from '@eventmesh/delivery';
import { decodeRecord, encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore, ReadOptions } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { AgainReader } from './again-reader.ts';

const LOG = 'events.t';
const EVENTS = 500;
let dir: TempDir;
let store: EventStore;

beforeEach(async () => {
  dir = tempDir('again-reader');
  store = await openEmbeddedStore({ dir: dir.path });
  await store.ensureLog({
    ...{ name: LOG, partitions: 1, retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 },
  });
});
afterEach(async () => {
  await store.close();
  dir.remove();
});

const bytesOf = (key: string) =>
  encodeRecord(
    {
      ...{ tenant: 't', topic: 'a', principal: 'p', originSite: 'west', key },
      ...{ destinations: [], ingressTimeUs: 1, hops: [] },
    },
    encodeEvent({ id: '1', source: '/s', type: 't' }),
  );

/** A consumer is stuck with the first event, and all that follow are of the same key and parked. */
async function parked(read: (options: ReadOptions) => ReturnType<EventStore['read']>) {
  const records = Array.from({ length: EVENTS }, () => ({ bytes: bytesOf('k') }));
  await store.append({ log: LOG, partition: 0, records });
  const engine = new DeliveryEngine({
    spec: checkSubscription({ name: 's', topicFilters: ['#'], ordered: true }),
    ...{ epoch: 1, now: () => 1000, random: () => 0, mayReceive: () => true },
    ...{ heldMax: 32, heldBytesMax: 1_000_000, parkedKeysMax: 10, cursorBytesMax: 1_000_000 },
    retryWindow: 16,
  });
  engine.openPartition(0, 1);
  engine.attach('slow');
  engine.credit('slow', 1);
  engine.offer(0, 1, decodeRecord(bytesOf('k')));
  const [first] = engine.pump();
  engine.attach('quick');
  engine.credit('quick', 1_000_000);
  for (let position = 2; position <= EVENTS; position++) {
    engine.offer(0, position, decodeRecord(bytesOf('k')));
    engine.pump();
  }
  expect(engine.parkedEvents).toBeGreaterThan(EVENTS - 32);
  const gaps: (readonly [number, number])[] = [];
  const got: number[] = [];
  /** Accepts what comes back, turn by turn. */
  const work = (): void => {
    for (const { consumer, deliveries } of engine.pump()) {
      for (const { id, entry } of deliveries) {
        got.push(entry.position);
        engine.settle(consumer, [id], { kind: 'accept' });
      }
    }
    reader.wake();
  };
  const reader = new AgainReader({
    store: { read },
    ...{ log: LOG, partition: 0, topicFilters: ['#'], readAheadBytes: 65_536, engine },
    matches: () => true,
    onRead: () => setImmediate(work),
    onGap: (from, to) => gaps.push([from, to]),
    logger: createLogger({ level: 'silent', service: 'test', site: 'west' }),
  });
  const free = () => {
    const id = first?.deliveries[0]?.id ?? 0;
    engine.settle('slow', [id], { kind: 'accept' });
    setImmediate(work);
  };
  return { engine, reader, gaps, got, free };
}

const upTo = (from: number) => Array.from({ length: EVENTS + 1 - from }, (_, at) => from + at);

describe('the reader of parked keys', () => {
  it('brings all of a key back in order, through a read that fails, and ends', async () => {
    let reads = 0;
    const { engine, reader, got, free } = await parked((options) => {
      if (++reads === 2) throw new Error('the store is away');
      return store.read(options);
    });
    free();
    await eventually(() => expect(engine.held).toBe(0));
    expect(got).toEqual(upTo(2));
    expect(reads).toBeGreaterThan(2);
    expect([engine.parkedKeys, engine.wantsAgain]).toEqual([0, false]);
    reader.close();
  });

  it('tells what the store has dropped meanwhile, and does not wait for it', async () => {
    const { engine, reader, got, gaps, free } = await parked((options) => store.read(options));
    await store.trim(LOG, 0, 400);
    free();
    await eventually(() => expect(engine.held).toBe(0));
    expect(got.filter((position) => position >= 400)).toEqual(upTo(400));
    expect(gaps.at(-1)?.[1]).toBe(399);
    const { considered, delivered } = engine.counters;
    expect(considered).toBe(delivered);
    reader.close();
  });

  it('calls nothing after it is closed', async () => {
    const { engine, reader, got, free } = await parked((options) => store.read(options));
    free();
    await eventually(() => expect(got.length).toBeGreaterThan(0));
    reader.close();
    const { parkedEvents } = engine;
    // Another read of the store ends after what the closed one had begun.
    for await (const item of store.read({
      ...{ log: LOG, partition: 0, from: { kind: 'position', position: 1 }, stopAtEnd: true },
    })) {
      if (item.kind === 'gap') throw new Error('there is none');
    }
    expect(engine.parkedEvents).toBe(parkedEvents);
  });
});
