import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeEvent, encodeRecord, NO_HANDLING } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir } from '@eventmesh/testing';
import type { TimerBook } from './timer-book.ts';
import { TimerLog } from './timer-log.ts';

const NEVER = () => 0;

describe('the log of timers', () => {
  let dir: ReturnType<typeof tempDir>;
  let store: EventStore;
  let log: TimerLog;

  const open = async () => {
    store = await openEmbeddedStore({
      dir: dir.path,
      onFatal: (error) => {
        throw error;
      },
    });
    log = new TimerLog(store, 'west', 'acme');
  };

  beforeEach(async () => {
    dir = tempDir('timers');
    await open();
    await log.ensure(1000);
  });

  afterEach(async () => {
    await store.close();
    dir.remove();
  });

  const record = (id: string, dueMs: number) => ({
    bytes: encodeRecord(
      {
        tenant: 'acme',
        topic: 'a/b',
        principal: 'user:ann',
        originSite: 'west',
        destinations: [],
        ingressTimeUs: 1,
        hops: [],
        handling: { ...NO_HANDLING, deliverAtMs: dueMs },
      },
      encodeEvent({ id, source: '/s', type: 't' }),
    ),
    dedupKey: id,
  });
  const add = (...due: number[]) =>
    store.append({
      log: log.name,
      partition: 0,
      records: due.map((dueMs, index) => record(`${dueMs}-${index}`, dueMs)),
    });
  const takeAll = (book: TimerBook) => book.takeDue(Infinity, 1000).map(({ position }) => position);

  it('tells after a restart of what waits, what was decided, and what is not published yet', async () => {
    await add(30, 10, 20, 40);
    const fire = [{ partition: 2, positions: [2] }];
    await log.decide({ sequence: 1, fire, drop: [3] }, 1);
    await store.close();
    await open();
    const book = await log.load(NEVER);
    expect(takeAll(book)).toEqual([1, 4]);
    expect(book.open).toEqual([{ sequence: 1, partition: 2, positions: [2] }]);
    expect(book.sequence).toBe(1);
    expect((await log.load(() => 1)).open).toEqual([]);
  });

  it('takes one decision of each number, whoever makes it', async () => {
    await add(10, 20);
    const other = new TimerLog(store, 'west', 'acme');
    await log.decide({ sequence: 1, fire: [], drop: [1] }, 1);
    const late = { sequence: 1, fire: [], drop: [2] };
    await expect(other.decide(late, 1)).rejects.toMatchObject({ code: 'Aborted' });
    const early = { sequence: 3, fire: [], drop: [2] };
    await expect(other.decide(early, 1)).rejects.toMatchObject({ code: 'Aborted' });
    expect(takeAll(await log.load(NEVER))).toEqual([2]);
  });

  it('remembers the number of the last decision when the log has let go of it', async () => {
    await add(10);
    await log.decide({ sequence: 1, fire: [], drop: [1] }, 1);
    await log.trim(3);
    const book = await log.load(NEVER);
    expect(book.sequence).toBe(1);
    expect(book.pending).toBe(0);
    await add(50);
    await log.decide({ sequence: 2, fire: [], drop: [3] }, 1);
    expect((await log.load(NEVER)).pending).toBe(0);
  });

  it('moves timers and forgets their old places in one append', async () => {
    await add(30, 10);
    await log.decide({ sequence: 1, fire: [], drop: [1] }, 1, [record('moved', 30)]);
    await log.trim(2);
    const book = await log.load(NEVER);
    expect(takeAll(book)).toEqual([2, 3]);
    const timers = await log.timersAt([3, 2]);
    expect(timers?.get(3)?.handling.deliverAtMs).toBe(30);
  });

  it('reads timers far apart and gives up when they are too large together', async () => {
    await add(...Array.from({ length: 900 }, (_, index) => index + 1));
    await add(...Array.from({ length: 900 }, (_, index) => index + 10_001));
    await add(...Array.from({ length: 900 }, (_, index) => index + 20_001));
    const timers = await log.timersAt([2700, 1, 1500]);
    expect([...(timers?.values() ?? [])].map(({ handling }) => handling.deliverAtMs)).toEqual([
      1, 10_600, 20_900,
    ]);
    expect(await log.timersAt([1, 2, 3], 30)).toBeUndefined();
    expect((await log.timersAt([1], 1))?.size).toBe(1);
    await expect(log.timersAt([2701])).rejects.toMatchObject({ code: 'DataLoss' });
  });

  it('follows what others add and decide', async () => {
    const book = await log.load(NEVER);
    const stop = new AbortController();
    const seen = Promise.withResolvers<undefined>();
    const following = log.follow(
      book,
      () => {
        if (book.sequence === 1) seen.resolve(undefined);
      },
      stop.signal,
    );
    await add(10, 20);
    await log.decide({ sequence: 1, fire: [], drop: [1] }, 1);
    await seen.promise;
    stop.abort();
    await following;
    expect(takeAll(book)).toEqual([2]);
  });

  it('leaves out what was dropped meanwhile, when it may', async () => {
    await add(...Array.from({ length: 10 }, (_, n) => 100 + n));
    await log.decide({ sequence: 1, fire: [], drop: [1, 2, 3, 4] }, 5);
    await log.trim(5);
    await expect(log.timersAt([2, 6])).rejects.toMatchObject({ code: 'DataLoss' });
    expect([...((await log.timersAt([2, 6, 4], Infinity, 'skip'))?.keys() ?? [])]).toEqual([6]);
    expect((await log.timersAt([1, 2], Infinity, 'skip'))?.size).toBe(0);
    await expect(log.timersAt([6, 40], Infinity, 'skip')).rejects.toMatchObject({
      code: 'DataLoss',
    });
  });
});
