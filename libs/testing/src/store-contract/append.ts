import { describe, expect, it } from '@jest/globals';
import type { AppendRecord } from '@eventmesh/store-api';
import { expectCode, keyed, plain, range, record, refusal, type Suite } from './suite.ts';

export function describeAppend(suite: Suite): void {
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

    it('says in whole sentences how its class was found out', async () => {
      const { evidence, warnings } = await suite.store.profile();
      expect(evidence.length).toBeGreaterThan(0);
      for (const sentence of [...evidence, ...warnings]) {
        expect(sentence).toMatch(/^[A-Z].*[^.]\.$/s);
      }
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

export function describeDuplicates(suite: Suite): void {
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

export function describeProducers(suite: Suite): void {
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
