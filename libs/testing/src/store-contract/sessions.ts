import { describe, expect, it } from '@jest/globals';
import { PRODUCER_SESSIONS_MAX, type AppendRecord } from '@eventmesh/store-api';
import { expectCode, keyed, plain, range, record, refusal, type Suite } from './suite.ts';

interface Numbered {
  readonly epoch?: number;
  readonly id?: string;
  readonly partition?: number;
  readonly records?: AppendRecord[];
}

export function describeSessions(suite: Suite): void {
  const send = (log: string, sequences: readonly number[], more: Numbered = {}) => {
    const { epoch = 1, id = 'till 7 / ü', partition = 0 } = more;
    const records = more.records ?? sequences.map((n) => ({ bytes: record(`s${n}`) }));
    return suite.store.append({ log, partition, records, session: { id, epoch, sequences } });
  };

  describe('a session of an idempotent producer', () => {
    it('stores each number once, however often and in whatever batches it is sent', async () => {
      const log = await suite.log();
      expect(await send(log, [1, 2])).toMatchObject({ positions: [1, 2], duplicates: [] });
      expect(await send(log, [1, 2])).toMatchObject({ positions: [0, 0], duplicates: [0, 1] });
      expect(await send(log, [2, 3, 3, 7])).toMatchObject({
        positions: [0, 3, 0, 4],
        duplicates: [0, 2],
      });
      expect(await send(log, [5, 8])).toMatchObject({ positions: [0, 5], duplicates: [0] });
      expect((await suite.readAll(log)).records).toEqual(
        [1, 2, 3, 7, 8].map((n) => record(`s${n}`)),
      );
    });

    it('is told where a duplicate lies while its key is remembered', async () => {
      const log = await suite.log();
      const records = keyed(['a', 'b']);
      const first = await send(log, [1, 2], { records });
      expect(await send(log, [1, 2], { records })).toMatchObject({
        positions: first.positions,
        duplicates: [0, 1],
      });
    });

    it('goes on after records that another one had stored', async () => {
      const log = await suite.log();
      await suite.append(log, keyed(['a', 'b']));
      const stored = await send(log, [4, 5], { records: keyed(['a', 'b']) });
      expect(stored).toMatchObject({ positions: [1, 2], duplicates: [0, 1] });
      expect(await send(log, [5, 6])).toMatchObject({ positions: [0, 3], duplicates: [0] });
    });

    it('is of one partition and one name', async () => {
      const log = await suite.log({ partitions: 2 });
      await send(log, [9]);
      expect((await send(log, [1], { partition: 1 })).positions).toEqual([1]);
      expect((await send(log, [1], { id: 'another' })).positions).toEqual([2]);
    });

    it('starts over with a greater epoch, and fences the smaller one', async () => {
      const log = await suite.log();
      await send(log, [1, 2, 3], { epoch: 4 });
      expect((await send(log, [1], { epoch: 6 })).positions).toEqual([4]);
      const error = await refusal(send(log, [4], { epoch: 5 }));
      expect(error).toMatchObject({
        code: 'Aborted',
        reason: 'PRODUCER_FENCED',
        details: { facts: { epoch: '6' } },
      });
      expect((await suite.readAll(log)).positions).toEqual(range(1, 4));
      expect((await send(log, [2], { epoch: 6 })).positions).toEqual([5]);
    });

    it('may have many batches in flight', async () => {
      const log = await suite.log();
      const receipts = await Promise.all(
        range(0, 49).map((n) => send(log, [n * 2 + 1, n * 2 + 2])),
      );
      expect(receipts.flatMap(({ positions }) => positions)).toEqual(range(1, 100));
      const again = await Promise.all(range(0, 49).map((n) => send(log, [n * 2 + 1, n * 2 + 2])));
      expect(again.every(({ duplicates }) => duplicates.length === 2)).toBe(true);
    });

    it('is remembered after a reopen, also when its records are all gone', async () => {
      const log = await suite.log();
      await suite.append(log, keyed(['k']));
      await send(log, [1, 2], { epoch: 3 });
      await send(log, [7], { id: 'only duplicates', records: keyed(['k']) });
      await suite.append(log, plain(3));
      await suite.store.trim(log, 0, 7);
      await suite.reopen();
      expect((await send(log, [2, 3], { epoch: 3 })).duplicates).toEqual([0]);
      await expectCode(send(log, [9], { epoch: 2 }), 'Aborted');
      expect((await send(log, [7], { id: 'only duplicates' })).duplicates).toEqual([0]);
      expect((await suite.readAll(log)).positions).toEqual([7]);
    });

    it('is forgotten only after all the others that a partition remembers', async () => {
      const log = await suite.log();
      const each = (ids: readonly number[]) =>
        Promise.all(ids.map((n) => send(log, [1], { id: `p${n}` })));
      await each(range(1, PRODUCER_SESSIONS_MAX));
      await send(log, [2], { id: 'p1' });
      await send(log, [1], { id: 'one too many' });
      expect((await send(log, [2], { id: 'p1' })).duplicates).toEqual([0]);
      expect((await send(log, [1], { id: 'p3' })).duplicates).toEqual([0]);
      expect((await send(log, [1], { id: 'p2' })).duplicates).toEqual([]);
    }, 60_000);

    it.each<[string, Partial<Numbered>, readonly number[]]>([
      ['no name', { id: '' }, [1]],
      ['epoch 0', { epoch: 0 }, [1]],
      ['an epoch of more than 31 bits', { epoch: 2 ** 31 }, [1]],
      ['sequence 0', {}, [0]],
      ['fewer sequences than records', { records: plain(2) }, [1]],
    ])('with %s is refused as InvalidArgument', async (_what, more, sequences) => {
      const log = await suite.log();
      await expectCode(send(log, sequences, more), 'InvalidArgument');
    });

    it('cannot be together with a producer', async () => {
      const log = await suite.log();
      const producer = { id: 'p', previous: 0, last: 1 };
      const session = { id: 's', epoch: 1, sequences: [1] };
      const both = { log, partition: 0, records: plain(1), producer, session };
      await expectCode(suite.store.append(both), 'InvalidArgument');
    });
  });
}
