import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeEvent, encodeRecord, topicMatches, type RecordView } from '@eventmesh/event';
import { compileFilters, necessaryConditions, type FilterSpec } from '@eventmesh/filter';
import type { EventStore, ReadItem, ReadOptions } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { viewOf } from '../deliver/shared-view.ts';
import { Follower } from './follower.ts';
import type { Tap, TapHandle } from './tap.ts';

let dir: TempDir;
let store: EventStore;
let logs = 0;
const followers: Follower[] = [];

beforeEach(async () => {
  dir = tempDir('follower-books');
  store = await openEmbeddedStore({ dir: dir.path });
});
afterEach(async () => {
  for (const follower of followers.splice(0)) follower.stop();
  await store.close();
  dir.remove();
});

interface Stored {
  readonly topic: string;
  readonly type: string;
  readonly transit: boolean;
}

/** A log of its own with a follower, and what was appended to it. */
class Bench {
  readonly log = `events.t${++logs}`;
  readonly stored: Stored[] = [];
  readonly taps: Keeper[] = [];
  readonly follower: Follower;
  readonly #store: EventStore;

  constructor(of: EventStore) {
    this.#store = of;
    const logger = createLogger({ level: 'silent', service: 'test', site: 'west' });
    this.follower = new Follower({
      store: of,
      log: this.log,
      partition: 0,
      logger,
      readAheadBytes: 65_536,
      retryMs: 10,
    });
  }

  async open(): Promise<this> {
    followers.push(this.follower);
    const spec = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
    await this.#store.ensureLog({ name: this.log, partitions: 1, ...spec });
    return this;
  }

  async append(records: readonly Stored[]): Promise<void> {
    this.stored.push(...records);
    await this.#store.append({
      log: this.log,
      partition: 0,
      records: records.map(({ topic, type, transit }) => ({
        bytes: encodeRecord(
          {
            tenant: 't',
            topic,
            principal: 'p',
            originSite: 'west',
            destinations: [],
            transit,
            ingressTimeUs: 1,
            hops: [],
          },
          encodeEvent({ id: '1', source: '/s', type }),
        ),
      })),
    });
  }

  /**
   * @param back How many of the stored records it has not seen.
   * @param counted How many of those it has counted in an earlier life.
   * @param max Most that it holds.
   */
  attach(
    topicFilters: readonly string[],
    filters: readonly FilterSpec[],
    back = 0,
    counted = 0,
    max = Infinity,
  ): Keeper {
    const from = this.last + 1 - Math.min(this.last, back);
    const tap = new Keeper(topicFilters, filters, from, Math.min(this.last, from - 1 + counted));
    tap.max = max;
    this.taps.push(tap);
    tap.handle = this.follower.attach(tap, from);
    return tap;
  }

  /** Everything that a tap was told, against what is stored. */
  check(tap: Keeper): void {
    const { topicFilters, from, counted, upTo, offered, others } = tap;
    const matched = this.stored
      .map((record, index) => ({ ...record, position: index + 1 }))
      .filter(({ position, transit }) => position >= from && position <= upTo && !transit)
      .filter(({ topic }) => topicFilters.some((filter) => topicMatches(filter, topic)));
    expect(offered).toEqual(
      matched.filter(({ type }) => tap.wants(type)).map(({ position }) => position),
    );
    const fresh = offered.filter((position) => position > counted);
    expect(fresh.length + others).toBe(Math.max(0, upTo - counted));
  }

  get last(): number {
    return this.stored.length;
  }
}

/** Keeps what it is told. */
class Keeper implements Tap {
  readonly topicFilters: readonly string[];
  readonly conditions;
  readonly matches;
  readonly from: number;
  /** Everything up to here was counted before. */
  readonly counted: number;
  readonly offered: number[] = [];
  open = true;
  max = Infinity;
  held = 0;
  others = 0;
  told = 0;
  upTo: number;
  handle: TapHandle | undefined;

  constructor(
    topicFilters: readonly string[],
    filters: readonly FilterSpec[],
    from: number,
    counted: number,
  ) {
    this.topicFilters = topicFilters;
    this.conditions = necessaryConditions(filters);
    this.matches = compileFilters(filters);
    this.from = from;
    this.counted = counted;
    this.upTo = from - 1;
  }

  get ready(): boolean {
    return this.open && this.held < this.max;
  }

  get hungry(): boolean {
    return this.ready;
  }

  /** Lets go of what it holds. */
  settle(): void {
    this.held = 0;
    this.handle?.resume();
  }

  wants(type: string): boolean {
    const bytes = encodeEvent({ id: '1', source: '/s', type });
    return this.matches(viewOf({ event: bytes } as RecordView));
  }

  boundary(): number {
    return this.counted;
  }

  offer(_partition: number, position: number, record: RecordView): boolean {
    expect(position).toBeGreaterThan(this.upTo);
    if (!this.matches(viewOf(record))) return false;
    expect(++this.held).toBeLessThanOrEqual(this.max);
    this.offered.push(position);
    return true;
  }

  advance(_partition: number, upTo: number, others: number): void {
    expect(upTo).toBeGreaterThanOrEqual(Math.max(this.upTo, this.offered.at(-1) ?? 0));
    this.told++;
    this.upTo = upTo;
    this.others += others;
  }

  gap(): void {
    throw new Error('there is no gap');
  }
}

const plain = (topic: string, type = 't'): Stored => ({ topic, type, transit: false });
const refreshed = (tap: Keeper): number => {
  tap.handle?.refresh();
  return tap.upTo;
};

describe('the books of taps', () => {
  it('are exact, whoever comes, is full for a while, or goes', async () => {
    const topic = fc.constantFrom('a/x', 'a/y', 'b/x');
    const type = fc.constantFrom('t', 'u', 'v');
    const topicFilters = fc.array(fc.constantFrom('#', 'a/#', '+/x', 'b/x'), {
      minLength: 1,
      maxLength: 2,
    });
    const filters = fc.oneof(
      fc.constant<FilterSpec[]>([]),
      type.map((of): FilterSpec[] => [{ exact: { type: of } }]),
      type.map((of): FilterSpec[] => [{ not: { exact: { type: of } } }]),
    );
    const transit = fc.integer({ min: 0, max: 3 }).map((of) => of === 0);
    const records = fc.array(fc.record({ topic, type, transit }), { minLength: 1, maxLength: 6 });
    const max = fc.constantFrom(1, 3, Infinity);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ append: records, awaited: fc.boolean() }) },
      {
        weight: 4,
        arbitrary: fc.record({
          attach: fc.tuple(topicFilters, filters, fc.nat(9), fc.nat(9), max),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          tap: fc.nat(),
          does: fc.constantFrom('close', 'fill', 'empty', 'settle', 'refresh'),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const bench = await new Bench(store).open();
        const open: Keeper[] = [];
        for (const given of steps) {
          if ('append' in given) {
            await bench.append(given.append);
            if (given.awaited) await new Promise((resolve) => setImmediate(resolve));
          } else if ('attach' in given) open.push(bench.attach(...given.attach));
          else {
            const tap = open[given.tap % Math.max(1, open.length)];
            if (tap === undefined) continue;
            if (given.does === 'refresh') tap.handle?.refresh();
            else if (given.does === 'close') {
              tap.handle?.close();
              open.splice(open.indexOf(tap), 1);
            } else if (given.does === 'settle') tap.settle();
            else tap.open = given.does === 'empty';
            if (tap.ready) tap.handle?.resume();
          }
        }
        for (const tap of open) {
          tap.open = true;
          tap.max = Infinity;
          tap.handle?.resume();
        }
        await eventually(() => expect(open.map(refreshed)).toEqual(open.map(() => bench.last)), {
          intervalMs: 2,
        });
        for (const tap of bench.taps) bench.check(tap);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('cost a tap nothing while nothing is for it, and are there when asked for', async () => {
    const bench = await new Bench(store).open();
    const none = bench.attach(['b/#'], []);
    const few = Array.from({ length: 20 }, (_, i) => {
      return bench.attach(['a'], [{ exact: { type: `t${i}` } }]);
    });
    // There is nothing to go by, so it is asked, and says no.
    few.push(bench.attach(['a'], [{ sql: 'LENGTH(type) > 50' }]));
    const all = bench.attach(['#'], []);
    await bench.append([plain('a')]);
    await eventually(() => expect(all.upTo).toBe(1));
    await eventually(() => expect([none, ...few].map(refreshed)).toEqual(Array(22).fill(1)));
    for (const tap of [none, all, ...few]) tap.told = 0;
    const passing = { ...plain('a', 't3'), transit: true };
    for (let i = 0; i < 5; i++) await bench.append([plain('a', 't7'), passing, plain('a', 'x')]);
    await eventually(() => expect(all.upTo).toBe(16));
    const told = [none, ...few].filter(({ told: times }) => times > 0);
    expect(told).toEqual([few[7]]);
    expect([none.upTo, few[0]?.upTo, few[7]?.offered.length]).toEqual([1, 1, 5]);
    none.handle?.close();
    for (const tap of few) tap.handle?.refresh();
    for (const tap of bench.taps) {
      expect(tap.upTo).toBe(16);
      bench.check(tap);
    }
  });

  it('are exact for a tap that has read further than the shared reader', async () => {
    const slow = new SlowTail(store);
    const bench = await new Bench(slow.store).open();
    const first = bench.attach(['#'], []);
    await bench.append([plain('a'), plain('b'), plain('a')]);
    await eventually(() => expect(refreshed(first)).toBe(3));
    const release = slow.hold();
    await bench.append([plain('a'), plain('b'), plain('a'), plain('b')]);
    const ahead = bench.attach(['a'], [], 5);
    const also = bench.attach(['b'], [], 7);
    const late = bench.attach(['#'], []);
    await eventually(() => expect([ahead.upTo, also.upTo]).toEqual([7, 7]));
    await bench.append([plain('a'), plain('b'), plain('a')]);
    release();
    const taps = [first, ahead, also, late];
    await eventually(() => expect(taps.map(refreshed)).toEqual([10, 10, 10, 10]));
    for (const tap of taps) bench.check(tap);
  });
});

describe('what was counted in an earlier life', () => {
  // One block of the store, so that one batch goes over the place up to which it was counted.
  const block = ['a', 'b', 'b', 'b', 'a', 'b', 'b'].map((topic) => plain(topic));

  it.each([
    ['ends behind the last match of a batch', 7, 3],
    ['ends at a match', 6, 4],
    ['ends behind a match', 7, 4],
    ['is nothing', 7, 0],
    ['is all there is', 4, 4],
  ])('is not counted again when it %s', async (_, back, counted) => {
    const bench = await new Bench(store).open();
    await bench.append(block);
    const tap = bench.attach(['a'], [], back, counted);
    await eventually(() => expect(refreshed(tap)).toBe(7));
    bench.check(tap);
    expect(tap.others).toBe(7 - tap.counted - tap.offered.filter((at) => at > tap.counted).length);
  });

  it('is not counted again where nothing matches', async () => {
    const bench = await new Bench(store).open();
    await bench.append(block);
    const tap = bench.attach(['none'], [], 7, 4);
    await eventually(() => expect(refreshed(tap)).toBe(7));
    expect(tap.others).toBe(3);
  });

  it('is not counted again when the shared reader comes to it later', async () => {
    const slow = new SlowTail(store);
    const bench = await new Bench(slow.store).open();
    const first = bench.attach(['#'], []);
    await bench.append(block);
    await eventually(() => expect(refreshed(first)).toBe(7));
    const release = slow.hold();
    await bench.append(block);
    // It has been here before, and has read further than the shared reader has.
    const again = bench.attach(['a'], [], 7, 4);
    release();
    await eventually(() => expect([first, again].map(refreshed)).toEqual([14, 14]));
    expect([again.others, again.offered]).toEqual([2, [8, 12]]);
  });
});

describe('a tap that is full', () => {
  it.each(['read later', 'followed live'])(
    'is offered nothing more of a batch, and goes on where it was, %s',
    async (how) => {
      const bench = await new Bench(store).open();
      const first = how === 'followed live' ? 1 : 0;
      const block = Array.from({ length: 100 }, (_, i) => plain(i % 2 === 0 ? 'a' : 'b'));
      if (first === 0) await bench.append(block);
      const tap = bench.attach(['a'], [], 100, 0, 8);
      const other = bench.attach(['#'], [], 100);
      if (first === 1) {
        await bench.append([plain('b')]);
        await eventually(() => expect(refreshed(tap)).toBe(1));
        await bench.append(block);
      }
      const last = 100 + first;
      await eventually(() => expect(other.upTo).toBe(last));
      for (let n = 1; n * 8 < 50; n++) {
        await eventually(() => expect(tap.offered).toHaveLength(n * 8));
        expect(tap.upTo).toBe(first + n * 16);
        tap.settle();
      }
      await eventually(() => expect(refreshed(tap)).toBe(last));
      for (const one of [tap, other]) bench.check(one);
    },
  );
});

/** A store whose followers of the tail can be made to wait with what they have read. */
class SlowTail {
  readonly store: EventStore;
  #held: Promise<void> = Promise.resolve();

  constructor(inner: EventStore) {
    const read = (options: ReadOptions) => this.#read(inner, options);
    this.store = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'read') return read;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** Answers how to let them go on. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return resolve;
  }

  async *#read(inner: EventStore, options: ReadOptions): AsyncIterable<ReadItem> {
    for await (const item of inner.read(options)) {
      if (options.stopAtEnd !== true) await this.#held;
      yield item;
    }
  }
}
