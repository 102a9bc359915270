import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventView, encodeEvent, encodeRecord, NO_HANDLING } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir } from '@eventmesh/testing';
import { DueTimers, type DueTimer } from './due-timers.ts';
import { TimerLog } from './timer-log.ts';

const COUNT = 3000;
const LIMITS = { timers: 1000, bytes: 1024 * 1024 };

/** Counts how often it is gone through. */
class CountingLog extends TimerLog {
  sweeps = 0;

  override records(positions: ArrayLike<number>): AsyncGenerator<[number, Uint8Array]> {
    if (positions.length > 0) this.sweeps++;
    return super.records(positions);
  }
}

describe('the timers that are due', () => {
  let dir: ReturnType<typeof tempDir>;
  let store: EventStore;

  beforeEach(async () => {
    dir = tempDir('due-timers');
    store = await openEmbeddedStore({
      dir: dir.path,
      onFatal: (error) => {
        throw error;
      },
    });
  });

  afterEach(async () => {
    await store.close();
    dir.remove();
  });

  /** The due time of the timer at a position: all different, and in another order. */
  const dueAt = (position: number) => 1 + ((position * 1009) % COUNT);

  async function scheduled(bytes = 10) {
    const log = new CountingLog(store, 'w', 't');
    await log.ensure(0);
    for (let first = 1; first <= COUNT; first += 500) {
      const positions = Array.from({ length: 500 }, (_, n) => first + n);
      const records = positions.map((position) => ({ bytes: record(position, bytes) }));
      await store.append({ log: log.name, partition: 0, records });
    }
    const book = await log.load(() => 0);
    return { log, book };
  }

  const record = (position: number, bytes: number): Buffer =>
    encodeRecord(
      {
        tenant: 't',
        topic: 'a/b',
        principal: 'user:ann',
        originSite: 'w',
        destinations: [],
        ingressTimeUs: 1,
        hops: [],
        handling: { ...NO_HANDLING, deliverAtMs: dueAt(position) },
      },
      encodeEvent({
        id: String(position),
        source: '/s',
        type: 't',
        data: { kind: 'binary', bytes: Buffer.alloc(bytes) },
      }),
    );

  /** Takes all that are due and answers their due times. */
  async function takeAll(due: DueTimers, drop: (sequence: number, positions: number[]) => void) {
    const times: number[] = [];
    for (let sequence = 1; ; sequence++) {
      const batch = await due.batch(Infinity);
      if (batch.length === 0) return times;
      for (const { position, record: found, dueMs } of batch) {
        expect(new EventView(found.event).id).toBe(String(position));
        expect(dueMs).toBe(dueAt(position));
        times.push(dueMs);
      }
      drop(
        sequence,
        batch.map(({ position }) => position),
      );
      due.done();
    }
  }

  const inOrder = Array.from({ length: COUNT }, (_, n) => n + 1);

  it('come in the order of their times, and their log is read once for each thousand', async () => {
    const { log, book } = await scheduled();
    const due = new DueTimers(log, book, LIMITS);
    const times = await takeAll(due, (sequence, drop) => book.decide({ sequence, fire: [], drop }));
    expect(times).toEqual(inOrder);
    expect(log.sweeps).toBe(COUNT / LIMITS.timers);
    expect(due.nextMs).toBeUndefined();
  });

  it('come in the same order when few of them fit into memory at a time', async () => {
    const { log, book } = await scheduled(4000);
    const due = new DueTimers(log, book, LIMITS);
    const times = await takeAll(due, (sequence, drop) => book.decide({ sequence, fire: [], drop }));
    expect(times).toEqual(inOrder);
    // At least a quarter of what fits is read in one go.
    expect(log.sweeps).toBeLessThanOrEqual((4 * COUNT * 4000) / LIMITS.bytes);
  });

  it('come again until they are decided about, without those that are taken back meanwhile', async () => {
    const { log, book } = await scheduled();
    const due = new DueTimers(log, book, LIMITS);
    const first = await due.batch(Infinity);
    due.done();
    expect(await due.batch(Infinity)).toEqual(first);
    expect(due.nextMs).toBe(1);
    const [gone] = first;
    book.decide({ sequence: 1, fire: [], drop: [gone?.position ?? 0] });
    due.done();
    const again = await due.batch(Infinity);
    expect(again[0]?.dueMs).toBe(2);
    expect(due.nextMs).toBe(2);
  });

  it('come when all that were read ahead are taken back', async () => {
    const { log, book } = await scheduled();
    const due = new DueTimers(log, book, LIMITS);
    await due.batch(Infinity);
    const early = Array.from({ length: COUNT }, (_, n) => n + 1).filter((n) => dueAt(n) <= 1000);
    book.decide({ sequence: 1, fire: [], drop: early });
    expect((await due.batch(Infinity)).length).toBe(0);
    due.done();
    expect((await due.batch(Infinity))[0]?.dueMs).toBe(1001);
  });

  it('keep their records for whoever got a batch, whatever is read after it', async () => {
    const { log, book } = await scheduled();
    const due = new DueTimers(log, book, LIMITS);
    const batches: DueTimer[] = [];
    for (let sequence = 1; batches.length < COUNT; sequence++) {
      const batch = await due.batch(Infinity);
      batches.push(...batch);
      book.decide({ sequence, fire: [], drop: batch.map(({ position }) => position) });
      due.done();
    }
    for (const { position, record: kept } of batches) {
      expect(new EventView(kept.event).id).toBe(String(position));
    }
  });

  it('are not there before their time', async () => {
    const { log, book } = await scheduled();
    const due = new DueTimers(log, book, LIMITS);
    expect(await due.batch(0)).toEqual([]);
    expect((await due.batch(3)).map(({ dueMs }) => dueMs)).toEqual([1, 2, 3]);
  });
});
