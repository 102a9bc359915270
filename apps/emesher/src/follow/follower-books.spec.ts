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

  /** @param back How many of the stored records it has not seen. */
  attach(topicFilters: readonly string[], filters: readonly FilterSpec[], back = 0): Keeper {
    const from = this.last + 1 - Math.min(this.last, back);
    const tap = new Keeper(topicFilters, filters, from);
    this.taps.push(tap);
    tap.handle = this.follower.attach(tap, from);
    return tap;
  }

  /** Everything that a tap was told, against what is stored. */
  check(tap: Keeper): void {
    const { topicFilters, from, upTo, offered, others } = tap;
    const passed = this.stored
      .map((record, index) => ({ ...record, position: index + 1 }))
      .filter(({ position, transit }) => position >= from && position <= upTo && !transit);
    const onTopic = passed.filter(({ topic }) => topicFilters.some((f) => topicMatches(f, topic)));
    expect(offered).toEqual(
      onTopic.filter(({ type }) => tap.wants(type)).map(({ position }) => position),
    );
    expect(offered.length + others).toBe(passed.length);
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
  readonly offered: number[] = [];
  ready = true;
  others = 0;
  told = 0;
  upTo: number;
  handle: TapHandle | undefined;

  constructor(topicFilters: readonly string[], filters: readonly FilterSpec[], from: number) {
    this.topicFilters = topicFilters;
    this.conditions = necessaryConditions(filters);
    this.matches = compileFilters(filters);
    this.from = from;
    this.upTo = from - 1;
  }

  get hungry(): boolean {
    return this.ready;
  }

  wants(type: string): boolean {
    const bytes = encodeEvent({ id: '1', source: '/s', type });
    return this.matches(viewOf({ event: bytes } as RecordView));
  }

  boundary(): number {
    return 0;
  }

  offer(_partition: number, position: number, record: RecordView): boolean {
    expect(position).toBeGreaterThan(this.upTo);
    if (!this.matches(viewOf(record))) return false;
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
    const records = fc.array(
      fc.tuple(topic, type).map((of) => plain(...of)),
      {
        minLength: 1,
        maxLength: 6,
      },
    );
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ append: records, awaited: fc.boolean() }) },
      { weight: 4, arbitrary: fc.record({ attach: fc.tuple(topicFilters, filters, fc.nat(9)) }) },
      {
        weight: 3,
        arbitrary: fc.record({
          tap: fc.nat(),
          does: fc.constantFrom('close', 'fill', 'empty', 'refresh'),
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
            } else tap.ready = given.does === 'empty';
            if (tap.ready) tap.handle?.resume();
          }
        }
        for (const tap of open) {
          tap.ready = true;
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
