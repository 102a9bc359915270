import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import type {
  AppendReceipt,
  AppendRecord,
  Cursor,
  EventStore,
  LogSpec,
  ReadItem,
  ReadOptions,
  StoreCapability,
} from '@eventmesh/store-api';

/** A store and how to open it anew on the same data. */
export interface StoreUnderTest {
  readonly store: EventStore;
  /** Closes the store, opens it again on the same data and answers the new one. */
  reopen(): Promise<EventStore>;
  /** Closes everything and removes the data. */
  dispose(): Promise<void>;
}

/**
 * What every EventStore must do, as tests. Names of logs carry a run id, so that what an earlier
 * run left on a server cannot interfere. A group that needs a capability is left out by name when
 * the store does not claim it.
 */
export function describeStoreContract(
  name: string,
  make: () => Promise<StoreUnderTest>,
  capabilities: readonly StoreCapability[],
): void {
  describe(`${name} keeps the EventStore contract`, () => {
    const suite = new Suite(make);
    beforeAll(() => suite.start());
    afterAll(() => suite.stop());
    it('claims the capabilities it is tested for', () => {
      expect([...suite.store.capabilities].sort()).toEqual([...capabilities].sort());
    });
    describeAppend(suite);
    describeDuplicates(suite);
    describeProducers(suite);
    describeRead(suite, capabilities);
    describeCursors(suite);
    describeLogs(suite, capabilities);
    describeLife(suite);
  });
}

class Suite {
  readonly #make: () => Promise<StoreUnderTest>;
  readonly #run = randomBytes(4).toString('hex');
  #under: StoreUnderTest | undefined;
  #store: EventStore | undefined;
  #logs = 0;

  constructor(make: () => Promise<StoreUnderTest>) {
    this.#make = make;
  }

  async start(): Promise<void> {
    this.#under = await this.#make();
    this.#store = this.#under.store;
  }

  async stop(): Promise<void> {
    await this.#under?.dispose();
  }

  get store(): EventStore {
    if (this.#store === undefined) throw new Error('the store did not open');
    return this.#store;
  }

  async reopen(): Promise<void> {
    this.#store = await this.#under?.reopen();
  }

  /** A new log with one partition, unless the spec says otherwise. */
  async log(spec: Partial<LogSpec> = {}): Promise<string> {
    const name = `contract.${this.#run}-${++this.#logs}`;
    await this.store.ensureLog({
      name,
      partitions: 1,
      retentionMs: 0,
      retentionBytes: 0,
      duplicateWindow: 1000,
      ...spec,
    });
    return name;
  }

  append(log: string, records: AppendRecord[], partition = 0): Promise<AppendReceipt> {
    return this.store.append({ log, partition, records });
  }

  async read(options: Omit<ReadOptions, 'partition'>): Promise<ReadResult> {
    return collect(this.store.read({ partition: 0, ...options }));
  }

  async readAll(log: string): Promise<ReadResult> {
    return this.read({ log, from: { kind: 'position', position: 1 }, stopAtEnd: true });
  }
}

interface ReadResult {
  readonly opened: number;
  readonly positions: number[];
  readonly records: Buffer[];
  readonly gaps: [number, number][];
  readonly upTo: number;
}

async function collect(items: AsyncIterable<ReadItem>, enough = Infinity): Promise<ReadResult> {
  const result = { opened: 0, positions: [], records: [], gaps: [], upTo: 0 } as {
    -readonly [K in keyof ReadResult]: ReadResult[K];
  };
  for await (const item of items) {
    if (item.kind === 'opened') result.opened = item.position;
    else if (item.kind === 'gap') result.gaps.push([item.from, item.to]);
    else {
      result.positions.push(...item.positions);
      result.records.push(...item.records.map((record) => Buffer.from(record)));
      result.upTo = item.upTo;
    }
    if (result.positions.length >= enough) break;
  }
  return result;
}

/** An encoded record whose event carries `text` (and `size` bytes of data). */
function record(text: string, options: { topic?: string; size?: number } = {}): Buffer {
  const data = Buffer.alloc(options.size ?? 16, `${text};`);
  const event = encodeEvent({
    id: text,
    source: '/contract',
    type: 'contract.event',
    attributes: [['subject', { kind: 'string', value: `ü ${text}` }]],
    data: { kind: 'binary', bytes: data },
  });
  return encodeRecord(
    {
      tenant: 'default',
      topic: options.topic ?? 'contract/events',
      principal: 'tester',
      originSite: 'west',
      destinations: ['east'],
      ingressTimeUs: 1_700_000_000_000_000,
      hops: [{ site: 'west', timeUs: 1_700_000_000_000_000 }],
    },
    event,
  );
}

const plain = (count: number, prefix = 'r'): AppendRecord[] =>
  Array.from({ length: count }, (_, i) => ({ bytes: record(`${prefix}${i}`) }));

const keyed = (keys: string[]): AppendRecord[] =>
  keys.map((dedupKey) => ({ bytes: record(dedupKey), dedupKey }));

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function refusal(promise: Promise<unknown>): Promise<MeshError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(MeshError);
    return error as MeshError;
  }
  throw new Error('it was expected to be refused');
}

async function expectCode(promise: Promise<unknown>, code: MeshCode): Promise<void> {
  expect((await refusal(promise)).code).toBe(code);
}

/** Asks until the answer is yes; the test's own timeout ends it otherwise. */
async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function describeAppend(suite: Suite): void {
  describe('append', () => {
    it('gives positions from 1 without a hole and reads back the same bytes in order', async () => {
      const log = await suite.log();
      const first = await suite.append(log, plain(3, 'a'));
      const second = await suite.append(log, plain(2, 'b'));
      expect(first.positions).toEqual([1, 2, 3]);
      expect(second.positions).toEqual([4, 5]);
      expect(first.duplicates).toEqual([]);
      const read = await suite.readAll(log);
      expect(read.positions).toEqual([1, 2, 3, 4, 5]);
      const sent = [...plain(3, 'a'), ...plain(2, 'b')].map(({ bytes }) => Buffer.from(bytes));
      expect(read.records).toEqual(sent);
    });

    it('answers with the class of its profile', async () => {
      const log = await suite.log();
      const { durability } = await suite.append(log, plain(1));
      expect(durability).toBe((await suite.store.profile()).durability);
    });

    it('keeps call order with many appends in flight', async () => {
      const log = await suite.log();
      const batches = range(0, 199).map((n) => plain((n % 7) + 1, `b${n}-`));
      const receipts = await Promise.all(batches.map((batch) => suite.append(log, batch)));
      const positions = receipts.flatMap((receipt) => receipt.positions);
      expect(positions).toEqual(range(1, positions.length));
      const read = await suite.readAll(log);
      const sent = batches.flat().map(({ bytes }) => Buffer.from(bytes));
      expect(Buffer.concat(read.records).equals(Buffer.concat(sent))).toBe(true);
    });

    it('takes a full batch of 1,000 records', async () => {
      const log = await suite.log();
      const receipt = await suite.append(log, plain(1000));
      expect(receipt.positions).toEqual(range(1, 1000));
    });

    it('keeps partitions apart', async () => {
      const log = await suite.log({ partitions: 3 });
      await suite.append(log, plain(2, 'zero'), 0);
      expect((await suite.append(log, plain(1, 'two'), 2)).positions).toEqual([1]);
      const info = await suite.store.logInfo(log);
      expect(info?.partitions.map(({ last }) => last)).toEqual([2, 0, 1]);
    });

    it('stores nothing of a batch with an oversize record', async () => {
      const log = await suite.log();
      const { recordBytesMax } = await suite.store.profile();
      const tooBig = { bytes: record('big', { size: recordBytesMax + 1 }) };
      await expectCode(suite.append(log, [...plain(2), tooBig]), 'PayloadTooLarge');
      expect((await suite.append(log, plain(1))).positions).toEqual([1]);
    });

    it('takes a record of exactly the largest size', async () => {
      const log = await suite.log();
      const { recordBytesMax } = await suite.store.profile();
      const overhead = record('big', { size: 1_000_000 }).length - 1_000_000;
      const bytes = record('big', { size: recordBytesMax - overhead });
      expect(bytes.length).toBe(recordBytesMax);
      await suite.append(log, [{ bytes }]);
      expect((await suite.readAll(log)).records[0]?.equals(bytes)).toBe(true);
    });

    it.each<[string, AppendRecord[]]>([
      ['an empty batch', []],
      ['an empty record', [{ bytes: new Uint8Array(0) }]],
      ['more than 1,000 records', plain(1001)],
    ])('refuses %s as InvalidArgument', async (_what, records) => {
      const log = await suite.log();
      await expectCode(suite.append(log, records), 'InvalidArgument');
    });

    it('refuses an unknown log as NotFound and an unknown partition as InvalidArgument', async () => {
      await expectCode(suite.append('contract.nowhere', plain(1)), 'NotFound');
      const log = await suite.log();
      await expectCode(suite.append(log, plain(1), 1), 'InvalidArgument');
    });
  });
}

function describeDuplicates(suite: Suite): void {
  describe('duplicates', () => {
    it('are found within a batch and across batches, and told with the first position', async () => {
      const log = await suite.log();
      const first = await suite.append(log, keyed(['a', 'b', 'a']));
      expect(first).toMatchObject({ positions: [1, 2, 1], duplicates: [2] });
      const second = await suite.append(log, keyed(['b', 'c']));
      expect(second).toMatchObject({ positions: [2, 3], duplicates: [0] });
      expect((await suite.readAll(log)).positions).toEqual([1, 2, 3]);
    });

    it('are found while the first one is still in flight', async () => {
      const log = await suite.log();
      const receipts = await Promise.all(range(0, 9).map(() => suite.append(log, keyed(['x']))));
      expect(receipts.map(({ positions }) => positions[0])).toEqual(Array(10).fill(1));
      expect(receipts.map(({ duplicates }) => duplicates.length)).toEqual([0, ...Array(9).fill(1)]);
    });

    it('are judged by the exact key, per partition, and only with a key', async () => {
      const log = await suite.log({ partitions: 2 });
      await suite.append(log, keyed(['a b', 'a', 'ab', 'A', 'ä']));
      expect((await suite.append(log, keyed(['a b ']))).duplicates).toEqual([]);
      expect((await suite.append(log, keyed(['a']), 1)).duplicates).toEqual([]);
      const same = { bytes: record('same') };
      expect((await suite.append(log, [same, same])).duplicates).toEqual([]);
    });

    it('are forgotten beyond the window, the oldest first', async () => {
      const log = await suite.log({ duplicateWindow: 5 });
      await suite.append(log, keyed(range(1, 10).map(String)));
      expect((await suite.append(log, keyed(['6', '10']))).duplicates).toEqual([0, 1]);
      expect((await suite.append(log, keyed(['5']))).duplicates).toEqual([]);
      expect((await suite.append(log, keyed(['6']))).duplicates).toEqual([]);
    });

    it('are not looked for with a window of 0', async () => {
      const log = await suite.log({ duplicateWindow: 0 });
      await suite.append(log, keyed(['a']));
      expect((await suite.append(log, keyed(['a']))).duplicates).toEqual([]);
    });
  });
}

function describeProducers(suite: Suite): void {
  describe('an idempotent producer', () => {
    const send = (log: string, previous: number, last: number, records = plain(2)) =>
      suite.store.append({
        log,
        partition: 0,
        records,
        producer: { id: 'link-east', previous, last },
      });

    it('is applied once, in a chain', async () => {
      const log = await suite.log();
      expect((await send(log, 0, 2)).positions).toEqual([1, 2]);
      expect((await send(log, 2, 7)).positions).toEqual([3, 4]);
      expect(await suite.store.producerSequence(log, 0, 'link-east')).toBe(7);
      expect(await suite.store.producerSequence(log, 0, 'nobody')).toBe(0);
    });

    it('gets all duplicates when it repeats a batch', async () => {
      const log = await suite.log();
      const records = keyed(['p', 'q']);
      const first = await send(log, 0, 2, records);
      const again = await send(log, 0, 2, records);
      expect(again).toMatchObject({ positions: first.positions, duplicates: [0, 1] });
      expect((await suite.readAll(log)).positions).toEqual([1, 2]);
    });

    it('is told the stored sequence when its chain is broken', async () => {
      const log = await suite.log();
      await send(log, 0, 2);
      const error = await refusal(send(log, 3, 5));
      expect(error.code).toBe('Aborted');
      expect(error.details.facts?.['last']).toBe('2');
      expect((await suite.readAll(log)).positions).toEqual([1, 2]);
      expect((await send(log, 2, 3)).positions).toEqual([3, 4]);
    });

    it('may have many batches in flight', async () => {
      const log = await suite.log();
      const receipts = await Promise.all(
        range(0, 49).map((n) => send(log, n * 2, n * 2 + 2, plain(2, `n${n}-`))),
      );
      expect(receipts.flatMap(({ positions }) => positions)).toEqual(range(1, 100));
    });

    it('can go on when all records of a batch were duplicates', async () => {
      const log = await suite.log();
      await suite.append(log, keyed(['k']));
      expect((await send(log, 0, 1, keyed(['k']))).duplicates).toEqual([0]);
      expect((await send(log, 1, 2, keyed(['l']))).positions).toEqual([2]);
      expect(await suite.store.producerSequence(log, 0, 'link-east')).toBe(2);
    });
  });
}

function describeRead(suite: Suite, capabilities: readonly StoreCapability[]): void {
  describe('read', () => {
    it('starts at a position and stops at the end that was when it began', async () => {
      const log = await suite.log();
      await suite.append(log, plain(10));
      const read = await suite.read({
        log,
        from: { kind: 'position', position: 4 },
        stopAtEnd: true,
      });
      expect(read).toMatchObject({ opened: 4, positions: range(4, 10), gaps: [], upTo: 10 });
    });

    it('ends at once on an empty partition with stopAtEnd', async () => {
      const log = await suite.log();
      expect(await suite.readAll(log)).toMatchObject({ opened: 1, positions: [], gaps: [] });
    });

    it('follows the tail and sees what is appended later, in order', async () => {
      const log = await suite.log();
      await suite.append(log, plain(5, 'old'));
      const items = suite.store.read({ log, partition: 0, from: { kind: 'tail' } });
      const iterator = items[Symbol.asyncIterator]();
      expect((await iterator.next()).value).toEqual({ kind: 'opened', position: 6 });
      const reading = collect({ [Symbol.asyncIterator]: () => iterator }, 30);
      for (const n of range(0, 9)) await suite.append(log, plain(3, `new${n}-`));
      expect((await reading).positions).toEqual(range(6, 35));
    });

    it('starts at a time', async () => {
      const log = await suite.log();
      for (const n of range(0, 2)) await suite.append(log, plain(2, `early${n}`));
      const before = Date.now();
      await until(() => Date.now() > before + 5);
      const timeMs = Date.now();
      await until(() => Date.now() > timeMs);
      await suite.append(log, plain(2, 'late'));
      const from = { kind: 'time', timeMs } as const;
      expect((await suite.read({ log, from, stopAtEnd: true })).positions).toEqual([7, 8]);
      const all = { kind: 'time', timeMs: before - 60_000 } as const;
      expect((await suite.read({ log, from: all, stopAtEnd: true })).positions).toEqual(
        range(1, 8),
      );
      const future = { kind: 'time', timeMs: timeMs + 3_600_000 } as const;
      expect((await suite.read({ log, from: future, stopAtEnd: true })).positions).toEqual([]);
    });

    it('never reads ahead more than it is allowed, and a consumer may stop and go on', async () => {
      const log = await suite.log();
      const records = range(0, 99).map((n) => ({ bytes: record(`r${n}`, { size: 4096 }) }));
      for (let round = 0; round < 5; round++) await suite.append(log, records);
      const readAheadBytes = 64 * 1024;
      const iterator = suite.store
        .read({
          log,
          partition: 0,
          from: { kind: 'position', position: 1 },
          stopAtEnd: true,
          readAheadBytes,
        })
        [Symbol.asyncIterator]();
      await iterator.next();
      const seen: number[] = [];
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        if (next.value.kind !== 'batch') continue;
        const bytes = next.value.records.reduce((sum, { length }) => sum + length, 0);
        expect(bytes).toBeLessThanOrEqual(readAheadBytes);
        seen.push(...next.value.positions);
        // Others go on while this consumer does nothing.
        if (seen.length < 50) await suite.append(log, plain(1));
      }
      expect(seen).toEqual(range(1, 500));
    });

    it('serves several readers of one partition independently', async () => {
      const log = await suite.log();
      await suite.append(log, plain(200));
      const [a, b] = await Promise.all([suite.readAll(log), suite.readAll(log)]);
      expect(a.positions).toEqual(range(1, 200));
      expect(b.positions).toEqual(range(1, 200));
    });

    it('tells what is gone as a gap, once, and goes on after it', async () => {
      const log = await suite.log();
      await suite.append(log, plain(10));
      await suite.store.trim(log, 0, 5);
      const read = await suite.readAll(log);
      expect(read).toMatchObject({ gaps: [[1, 4]], positions: range(5, 10) });
      const earliest = await suite.read({
        log,
        from: { kind: 'position', position: 0 },
        stopAtEnd: true,
      });
      expect(earliest).toMatchObject({ opened: 5, gaps: [], positions: range(5, 10) });
    });

    it('never uses positions again, even when everything was trimmed', async () => {
      const log = await suite.log();
      await suite.append(log, plain(4));
      await suite.store.trim(log, 0, 5);
      expect((await suite.store.logInfo(log))?.partitions[0]).toMatchObject({ first: 5, last: 4 });
      expect((await suite.append(log, plain(1))).positions).toEqual([5]);
      expect(await suite.readAll(log)).toMatchObject({ gaps: [[1, 4]], positions: [5] });
    });

    it('ends without an error when its signal aborts, while it waits too', async () => {
      const log = await suite.log();
      await suite.append(log, plain(1));
      const stop = new AbortController();
      const from = { kind: 'position', position: 1 } as const;
      const reading = collect(suite.store.read({ log, partition: 0, from, signal: stop.signal }));
      await suite.append(log, plain(1));
      stop.abort();
      await reading;
    });

    it('refuses an unknown log as NotFound', async () => {
      const from = { kind: 'tail' } as const;
      const reading = async () =>
        collect(suite.store.read({ log: 'contract.nowhere', partition: 0, from }));
      await expectCode(reading(), 'NotFound');
    });

    const filtered = capabilities.includes('topic-filtered-read');
    const verb = filtered ? 'leaves out' : 'may leave out';
    it(`${verb} records that no topic filter matches, never one that matches`, async () => {
      const log = await suite.log();
      const topics = ['a/b', 'a', 'a/b/c', 'x/b', 'ä/Ω', 'a//b', 'a b/c', 'A/b', 'a.b/*/>'];
      await suite.append(
        log,
        topics.map((topic) => ({ bytes: record(topic, { topic }) })),
      );
      const positions = async (topicFilters: string[]) => {
        const from = { kind: 'position', position: 1 } as const;
        const read = await suite.read({ log, from, topicFilters, stopAtEnd: true });
        expect(read.upTo).toBe(topics.length);
        return read.positions;
      };
      const cases: [string[], number[]][] = [
        [['a/#'], [1, 2, 3, 6]],
        [['+/b'], [1, 4, 8]],
        [
          ['a/+/b', 'ä/#'],
          [5, 6],
        ],
        [
          ['a b/+', 'x/b'],
          [4, 7],
        ],
        [['a.b/*/>'], [9]],
        [['#'], range(1, 9)],
        [['nothing/here'], []],
      ];
      for (const [filters, wanted] of cases) {
        const got = await positions(filters);
        if (filtered) expect([filters, got]).toEqual([filters, wanted]);
        else expect(got).toEqual(expect.arrayContaining(wanted));
      }
    });
  });
}

const cursor = (floor: number, epoch: number, more: Partial<Cursor> = {}): Cursor => ({
  floor,
  epoch,
  settled: [],
  state: new Uint8Array(0),
  ...more,
});

function describeCursors(suite: Suite): void {
  describe('cursors', () => {
    it('come back as they were stored', async () => {
      const log = await suite.log();
      const id = { log, partition: 0, subscription: 'billing / ü' };
      expect(await suite.store.loadCursor(id)).toBeUndefined();
      const stored = cursor(5, 3, {
        settled: [
          { from: 7, to: 9 },
          { from: 12, to: 12 },
        ],
        state: Uint8Array.from([0, 255, 1]),
      });
      expect(await suite.store.commitCursors([{ id, cursor: stored }])).toEqual([]);
      const loaded = await suite.store.loadCursor(id);
      expect({ ...loaded, state: [...(loaded?.state ?? [])] }).toEqual({
        ...stored,
        state: [0, 255, 1],
      });
    });

    it('refuse an older epoch, by index, and take the rest', async () => {
      const log = await suite.log();
      const a = { log, partition: 0, subscription: 'a' };
      const b = { log, partition: 0, subscription: 'b' };
      await suite.store.commitCursors([{ id: a, cursor: cursor(1, 5) }]);
      const fenced = await suite.store.commitCursors([
        { id: a, cursor: cursor(9, 4) },
        { id: b, cursor: cursor(2, 1) },
      ]);
      expect(fenced).toEqual([0]);
      expect((await suite.store.loadCursor(a))?.floor).toBe(1);
      expect((await suite.store.loadCursor(b))?.floor).toBe(2);
      expect(await suite.store.commitCursors([{ id: a, cursor: cursor(2, 5) }])).toEqual([]);
      expect(await suite.store.commitCursors([{ id: a, cursor: cursor(3, 6) }])).toEqual([]);
      expect((await suite.store.loadCursor(a))?.floor).toBe(3);
    });

    it('of one subscription are applied in call order', async () => {
      const log = await suite.log();
      const id = { log, partition: 0, subscription: 'many' };
      await Promise.all(
        range(1, 40).map((floor) => suite.store.commitCursors([{ id, cursor: cursor(floor, 1) }])),
      );
      expect((await suite.store.loadCursor(id))?.floor).toBe(40);
    });

    it('are deleted', async () => {
      const log = await suite.log();
      const id = { log, partition: 0, subscription: 'gone' };
      await suite.store.commitCursors([{ id, cursor: cursor(1, 1) }]);
      await suite.store.deleteCursor(id);
      await suite.store.deleteCursor(id);
      expect(await suite.store.loadCursor(id)).toBeUndefined();
    });

    it('need a log and a name', async () => {
      const log = await suite.log();
      const bad = { log, partition: 0, subscription: '' };
      await expectCode(suite.store.loadCursor(bad), 'InvalidArgument');
      const lost = { log: 'contract.nowhere', partition: 0, subscription: 'a' };
      await expectCode(suite.store.commitCursors([{ id: lost, cursor: cursor(1, 1) }]), 'NotFound');
    });
  });
}

function describeLogs(suite: Suite, capabilities: readonly StoreCapability[]): void {
  describe('logs', () => {
    it('are made once, listed, and grow but never shrink', async () => {
      const log = await suite.log({ partitions: 2, duplicateWindow: 7 });
      await suite.append(log, plain(1), 1);
      const spec = { name: log, retentionMs: 0, retentionBytes: 0, duplicateWindow: 9 };
      const grown = await suite.store.ensureLog({ ...spec, partitions: 3 });
      expect(grown.spec).toEqual({ ...spec, partitions: 3 });
      expect(grown.partitions.map(({ last }) => last)).toEqual([0, 1, 0]);
      expect(await suite.store.ensureLog({ ...spec, partitions: 3 })).toEqual(grown);
      await expectCode(suite.store.ensureLog({ ...spec, partitions: 2 }), 'FailedPrecondition');
      const names = (await suite.store.listLogs()).map((info) => info.spec.name);
      expect(names).toContain(log);
      expect(await suite.store.logInfo('contract.nowhere')).toBeUndefined();
    });

    it('that are made at the same time do not share anything', async () => {
      const [a, b] = await Promise.all([suite.log(), suite.log()]);
      await suite.append(a, plain(3));
      expect((await suite.append(b, plain(1))).positions).toEqual([1]);
      expect((await suite.readAll(a)).positions).toEqual([1, 2, 3]);
    });

    it.each<[string, Partial<LogSpec>]>([
      ['no partitions', { partitions: 0 }],
      ['65 partitions', { partitions: 65 }],
      ['a bad name', { name: 'a/b' }],
      ['a negative retention', { retentionMs: -1 }],
    ])('with %s are refused as InvalidArgument', async (_what, spec) => {
      await expectCode(suite.log(spec), 'InvalidArgument');
    });

    if (!capabilities.includes('retention')) return;

    it('drop the oldest records beyond their bytes', async () => {
      const retentionBytes = 256 * 1024;
      const log = await suite.log({ retentionBytes });
      const batch = range(0, 63).map((n) => ({ bytes: record(`r${n}`, { size: 1024 }) }));
      for (let n = 0; n < 16; n++) await suite.append(log, batch);
      await until(async () => {
        const partition = (await suite.store.logInfo(log))?.partitions[0];
        return partition !== undefined && partition.bytes <= retentionBytes + 160 * 1024;
      });
      const read = await suite.readAll(log);
      const first = read.positions[0] ?? 0;
      expect(read.gaps).toEqual([[1, first - 1]]);
      expect(read.positions).toEqual(range(first, 16 * 64));
      expect(read.records.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(100_000);
    });

    it('drop records beyond their age', async () => {
      const log = await suite.log({ retentionMs: 300 });
      await suite.append(log, plain(3));
      await until(async () => {
        const partition = (await suite.store.logInfo(log))?.partitions[0];
        return partition?.first === 4 && partition.last === 3;
      });
      expect((await suite.append(log, plain(1))).positions).toEqual([4]);
    });
  });
}

function describeLife(suite: Suite): void {
  describe('life', () => {
    it('answers ping', async () => {
      await suite.store.ping();
    });

    it('has everything again after it was closed and opened', async () => {
      const log = await suite.log({ partitions: 2 });
      const id = { log, partition: 1, subscription: 's' };
      await suite.append(log, keyed(['a', 'b']));
      await suite.store.append({
        log,
        partition: 1,
        records: plain(2),
        producer: { id: 'p', previous: 0, last: 9 },
      });
      await suite.append(log, plain(4), 1);
      await suite.store.trim(log, 1, 3);
      await suite.store.commitCursors([{ id, cursor: cursor(3, 8) }]);
      const before = await suite.store.logInfo(log);
      await suite.reopen();
      expect(await suite.store.logInfo(log)).toEqual(before);
      expect(await suite.append(log, keyed(['b', 'c']))).toMatchObject({
        positions: [2, 3],
        duplicates: [0],
      });
      expect(await suite.store.producerSequence(log, 1, 'p')).toBe(9);
      const broken = suite.store.append({
        log,
        partition: 1,
        records: plain(1),
        producer: { id: 'p', previous: 8, last: 10 },
      });
      await expectCode(broken, 'Aborted');
      expect((await suite.append(log, plain(1), 1)).positions).toEqual([7]);
      expect(await suite.store.commitCursors([{ id, cursor: cursor(4, 7) }])).toEqual([0]);
      expect((await suite.store.loadCursor(id))?.floor).toBe(3);
    });

    it('keeps the sequence of a producer whose records are all gone', async () => {
      const log = await suite.log();
      const producer = { id: 'p', previous: 0, last: 3 };
      await suite.store.append({ log, partition: 0, records: plain(2), producer });
      await suite.append(log, plain(2));
      await suite.store.trim(log, 0, 4);
      await suite.reopen();
      expect(await suite.store.producerSequence(log, 0, 'p')).toBe(3);
    });

    it('settles appends in flight on close, and refuses later calls as Unavailable', async () => {
      const log = await suite.log();
      const store = suite.store;
      const from = { kind: 'position', position: 1 } as const;
      const following = refusal(collect(store.read({ log, partition: 0, from })));
      const inFlight = range(0, 9).map(() => suite.append(log, plain(10)));
      const closing = store.close();
      await Promise.all(inFlight);
      await closing;
      await store.close();
      expect((await following).code).toBe('Unavailable');
      await expectCode(suite.append(log, plain(1)), 'Unavailable');
      await expectCode(store.ping(), 'Unavailable');
      await expectCode(store.logInfo(log), 'Unavailable');
      await suite.reopen();
      expect((await suite.readAll(log)).positions).toEqual(range(1, 100));
    });
  });
}
