import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeEvent, encodeRecord, NO_HANDLING } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir } from '@eventmesh/testing';
import type { TimerBook } from './timer-book.ts';
import { TimerLives, type NewTimer } from './timer-lives.ts';
import { TimerLog } from './timer-log.ts';

const EVENTS = 'events.acme';

/** Something happens just before it is read. */
class BusyLog extends TimerLog {
  meanwhile: () => Promise<void> = () => Promise.resolve();

  override async load(...args: Parameters<TimerLog['load']>): Promise<TimerBook> {
    await this.meanwhile();
    return super.load(...args);
  }
}

describe('an event that is scheduled again', () => {
  let dir: ReturnType<typeof tempDir>;
  let store: EventStore;
  let log: BusyLog;
  let lives: TimerLives;
  let book: TimerBook | undefined;
  let decisions = 0;

  beforeEach(async () => {
    dir = tempDir('lives');
    store = await openEmbeddedStore({
      dir: dir.path,
      onFatal: (error) => {
        throw error;
      },
    });
    log = new BusyLog(store, 'west', 'acme');
    await log.ensure(1000);
    const kept = { retentionMs: 0, retentionBytes: 0 };
    await store.ensureLog({ name: EVENTS, partitions: 2, ...kept, duplicateWindow: 1000 });
    book = undefined;
    decisions = 0;
    lives = new TimerLives({ store, log, events: EVENTS, book: () => book });
  });

  afterEach(async () => {
    await store.close();
    dir.remove();
  });

  const timer = (id: string, partition = 0): NewTimer => ({
    bytes: encodeRecord(
      {
        tenant: 'acme',
        topic: 'a/b',
        principal: 'user:ann',
        originSite: 'west',
        destinations: [],
        ingressTimeUs: 1,
        hops: [],
        handling: { ...NO_HANDLING, deliverAtMs: 1000 },
      },
      encodeEvent({ id, source: '/s', type: 't' }),
    ),
    dedupKey: `/s\0${id}`,
    partition,
  });
  const add = (...ids: string[]) => lives.append(ids.map((id) => timer(id)));
  const drop = (...positions: number[]) =>
    log.decide({ sequence: ++decisions, fire: [], drop: positions }, 1);
  /** Decides to fire, and perhaps does. */
  async function fire(id: string, position: number, publish: boolean, partition = 0) {
    const positions = [position];
    await log.decide({ sequence: ++decisions, fire: [{ partition, positions }], drop: [] }, 1);
    if (!publish) return;
    const previous = await store.producerSequence(EVENTS, partition, 'timers');
    const producer = { id: 'timers', previous, last: decisions };
    await store.append({ log: EVENTS, partition, records: [timer(id)], producer });
  }

  it('is a duplicate while it waits, here and elsewhere', async () => {
    await add('a', 'b');
    expect(await add('b', 'c')).toMatchObject({ positions: [2, 3], duplicates: [0] });
    book = await log.load(() => 0);
    expect(await add('a')).toMatchObject({ positions: [1], duplicates: [0] });
  });

  it('waits anew when it was taken back, once', async () => {
    await add('a', 'b');
    await drop(1);
    book = await log.load(() => 0);
    expect(await add('b', 'a', 'a')).toMatchObject({ positions: [2, 4, 4], duplicates: [0, 2] });
    expect(await add('a')).toMatchObject({ positions: [4], duplicates: [0] });
    book = await log.load(() => 0);
    expect(book.pending).toBe(2);
    expect(book.waits(4)).toBe(true);
  });

  it('can be taken back and scheduled any number of times', async () => {
    for (let life = 0; life < 5; life++) {
      const { positions, duplicates } = await add('a');
      expect(duplicates).toEqual([]);
      expect(await add('a')).toMatchObject({ duplicates: [0] });
      await drop(...positions);
    }
  });

  it('waits anew when its first life is dropped from the log', async () => {
    await add('a', 'b');
    await drop(1, 2);
    await log.trim(4);
    expect(await add('a')).toMatchObject({ positions: [4], duplicates: [] });
  });

  it('is a duplicate once it is decided to publish it, and when it was published', async () => {
    await add('a', 'b');
    await fire('a', 1, false);
    expect(await add('a')).toMatchObject({ duplicates: [0] });
    await fire('b', 2, true, 1);
    await log.trim(5);
    const again = await lives.append([timer('b', 1), timer('a', 1)]);
    expect(again).toMatchObject({ duplicates: [0] });
    const [info] = (await store.logInfo(EVENTS))?.partitions.slice(1) ?? [];
    // To ask has stored nothing.
    expect(info?.last).toBe(1);
  });

  it('is a duplicate when it is published, and dropped from the log, while that is looked for', async () => {
    await add('a', 'b');
    await fire('b', 2, true);
    log.meanwhile = async () => {
      log.meanwhile = () => Promise.resolve();
      await fire('a', 1, true);
      await log.trim(5);
    };
    expect(await add('a')).toMatchObject({ positions: [1], duplicates: [0] });
  });

  it('is a duplicate when it was moved to the end of the log', async () => {
    await add('a');
    const decision = { sequence: ++decisions, fire: [], drop: [1] };
    await log.decide(decision, 1, [{ bytes: timer('a').bytes }]);
    await log.trim(2);
    expect(await add('a')).toMatchObject({ duplicates: [0] });
  });

  it('waits once, however many ask at the same time', async () => {
    await add('a');
    await drop(1);
    const receipts = await Promise.all(Array.from({ length: 20 }, () => add('a')));
    expect(receipts.filter(({ duplicates }) => duplicates.length === 0)).toHaveLength(1);
    expect((await log.load(() => 0)).pending).toBe(1);
  });
});
