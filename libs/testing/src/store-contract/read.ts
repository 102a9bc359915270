import { describe, expect, it } from '@jest/globals';
import type { StoreCapability } from '@eventmesh/store-api';
import { collect, expectCode, plain, range, record, type Suite, until } from './suite.ts';

export function describeRead(suite: Suite, capabilities: readonly StoreCapability[]): void {
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
