import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LostRange } from '@eventmesh/adapter-api';
import { loadConfig, section } from '@eventmesh/config';
import type { CursorId, EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir, type TempDir } from '@eventmesh/testing';
import { dataPlaneConfig } from '../config.ts';
import { Logs } from '../logs.ts';
import { LOST_RANGES_MAX, LostRanges, concerns, isAhead, lostReason } from './lost-ranges.ts';

const HOUR_MS = 3_600_000;
const config = loadConfig(section('', dataPlaneConfig), { value: { log: { partitions: 2 } } });
let dir: TempDir;
let store: EventStore;
let nowMs = 0;

beforeEach(async () => {
  dir = tempDir('lost-ranges');
  store = await openEmbeddedStore({ dir: dir.path });
  nowMs = 0;
  await new Logs(store, config.log).ensure('t');
});
afterEach(async () => {
  await store.close();
  dir.remove();
});

const open = (retentionMs = 0, on = store) =>
  new LostRanges({
    store: on,
    logs: new Logs(on, config.log),
    neighbours: ['east', 'south'],
    retentionMs,
    now: () => nowMs,
  });

const range = (given: Partial<LostRange> = {}): LostRange => ({
  site: 'east',
  partition: 0,
  from: 101,
  to: 130,
  end: 105,
  foundMs: nowMs,
  ...given,
});

describe('what a site has lost', () => {
  it('is kept by partition and told of over restarts', async () => {
    const lost = open();
    const all = [range(), range({ site: 'south', to: 110 }), range({ partition: 1 })];
    for (const each of all) await lost.found('t', each);
    expect(await lost.of('t')).toEqual(all);
    expect(await open().of('t')).toEqual(all);
    expect(await open().of('other')).toEqual([]);
  });

  it('is kept once when it is found again, and the oldest is forgotten beyond the bound', async () => {
    const lost = open();
    const told: LostRange[] = [];
    lost.onFound((_tenant, each) => told.push(each));
    await lost.found('t', range({ foundMs: 1 }));
    await lost.found('t', range({ foundMs: 2 }));
    expect(await open().of('t')).toEqual([range({ foundMs: 1 })]);
    for (let n = 1; n <= LOST_RANGES_MAX; n++) await lost.found('t', range({ to: 200 + n }));
    const kept = await lost.of('t');
    expect(kept.map(({ to }) => to)).toEqual(
      Array.from({ length: LOST_RANGES_MAX }, (_, n) => 201 + n),
    );
    expect(told.length).toBe(1 + LOST_RANGES_MAX);
  });

  it('is kept whole when links to two neighbours find something of a partition at once', async () => {
    const both = [range(), range({ site: 'south', to: 110 })];
    const lost = open();
    await Promise.all(both.map((each) => lost.found('t', each)));
    expect(await open().of('t')).toEqual(both);
  });

  it('is told to a subscription that asks while it is found', async () => {
    let read = () => undefined as void;
    const reading = new Promise<void>((resolve) => (read = resolve));
    let goOn = () => undefined as void;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    let first = true;
    const slow: EventStore = Object.assign(Object.create(store) as EventStore, {
      async loadCursor(id: CursorId) {
        const cursor = await store.loadCursor(id);
        if (!first) return cursor;
        first = false;
        read();
        await held;
        return cursor;
      },
      logInfo: store.logInfo.bind(store),
      commitCursors: store.commitCursors.bind(store),
    });
    const lost = open(0, slow);
    const asked = lost.of('t');
    await reading;
    await lost.found('t', range());
    goOn();
    expect(await asked).toEqual([range()]);
  });

  it.each([
    ['as long as events are retained', HOUR_MS, HOUR_MS],
    ['for 30 days where events are kept for ever', 0, 30 * 24 * HOUR_MS],
  ])('is told of %s', async (_, retentionMs, toldMs) => {
    const lost = open(retentionMs);
    await lost.found('t', range());
    nowMs = toldMs;
    expect((await lost.of('t')).length).toBe(1);
    nowMs++;
    expect(await lost.of('t')).toEqual([]);
  });

  /** Positions 101 to 130 are lost of a log. */
  it.each([
    ['was there before, and stands before them', 105, 1, 90, [true, true]],
    ['was there before, and stands among them', 105, 1, 130, [true, true]],
    ['was there before, and has come past them since', 105, 1, 131, [true, false]],
    ['has come past them before that was found', 150, 1, 151, [true, true]],
    ['has gone on after that was found', 150, 1, 152, [true, false]],
    ['began where the log ended then', 105, 106, 106, [true, true]],
    ['was made after that', 105, 120, 120, [false, true]],
  ])('concerns a subscription that %s', (_, end, start, next, want) => {
    const lost = range({ end });
    expect([concerns(lost, start), isAhead(lost, next)]).toEqual(want);
  });

  it('says where it still is', () => {
    expect(lostReason(range())).toContain('site "east"');
  });
});
