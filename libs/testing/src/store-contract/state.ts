import { describe, expect, it } from '@jest/globals';
import type { Cursor, LogSpec, StoreCapability } from '@eventmesh/store-api';
import {
  collect,
  expectCode,
  keyed,
  plain,
  range,
  record,
  refusal,
  type Suite,
  until,
} from './suite.ts';

const cursor = (floor: number, epoch: number, more: Partial<Cursor> = {}): Cursor => ({
  floor,
  epoch,
  settled: [],
  state: new Uint8Array(0),
  ...more,
});

export function describeCursors(suite: Suite): void {
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

    it('are listed by log, in order of partition and name', async () => {
      const [log, other] = [await suite.log({ partitions: 3 }), await suite.log()];
      expect(await suite.store.listCursors(log)).toEqual([]);
      const ids = [
        { log, partition: 0, subscription: 'a' },
        { log, partition: 0, subscription: 'b / ü' },
        { log, partition: 2, subscription: 'a' },
      ];
      const more = range(0, 1100).map((n) => ({
        log,
        partition: 1,
        subscription: `many ${String(n).padStart(4, '0')}`,
      }));
      const gone = { log, partition: 0, subscription: 'gone' };
      const elsewhere = { log: other, partition: 0, subscription: 'a' };
      const all = [elsewhere, gone, ...ids.toReversed(), ...more];
      await suite.store.commitCursors(all.map((id) => ({ id, cursor: cursor(1, 1) })));
      await suite.store.deleteCursor(gone);
      const listed = await suite.store.listCursors(log);
      expect(listed).toEqual([ids[0], ids[1], ...more, ids[2]]);
      await expectCode(suite.store.listCursors('contract.nowhere'), 'NotFound');
    });

    it('of one subscription go by epoch, whatever two owners commit at the same time', async () => {
      const log = await suite.log();
      const id = { log, partition: 0, subscription: 'contended' };
      const owners = range(1, 20).map((epoch) =>
        suite.store.commitCursors([{ id, cursor: cursor(epoch * 10, epoch) }]),
      );
      const late = await Promise.all([
        ...owners,
        ...range(1, 19).map((epoch) =>
          suite.store.commitCursors([{ id, cursor: cursor(1, epoch) }]),
        ),
      ]);
      expect(late.slice(20).every((fenced) => fenced[0] === 0)).toBe(true);
      expect(await suite.store.loadCursor(id)).toMatchObject({ floor: 200, epoch: 20 });
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

export function describeLogs(suite: Suite, capabilities: readonly StoreCapability[]): void {
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

    // Left out by name when the store does not claim retention: the site's operator does it then.
    const retaining = capabilities.includes('retention') ? it : it.skip;

    retaining('drop the oldest records beyond their bytes', async () => {
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

    retaining('drop records beyond their age', async () => {
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

export function describeLife(suite: Suite): void {
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
