import { describe, expect, it } from '@jest/globals';
import type { SettleOutcome } from '@eventmesh/adapter-api';
import { Settle_Outcome } from '@eventmesh/proto-gen/subscriber';
import { takeInputs } from './subscriber.ts';

/** What reaches the queue of a settle with these ids. */
async function settled(ids: readonly bigint[], more: object = {}) {
  const taken: { ids: readonly number[]; outcome: SettleOutcome }[] = [];
  const refused: (number | bigint)[] = [];
  const value = { ids: [...ids], outcome: Settle_Outcome.ACCEPT, delayMs: 0n, reason: '', ...more };
  const inputs = (function* () {
    yield { message: { case: 'settle' as const, value: { cumulative: false, ...value } as never } };
  })();
  await takeInputs(
    { next: () => Promise.resolve(inputs.next()) },
    {
      credit: () => undefined,
      drain: () => undefined,
      settle: (known, outcome) => taken.push({ ids: known, outcome }),
      refused: (unknown) => refused.push(...unknown),
    },
  );
  return { taken, refused };
}

describe('the ids of a gRPC settle', () => {
  it.each([2n ** 63n - 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 63n)])(
    'that no delivery can have (%d) are refused as they came; the others are settled',
    async (id) => {
      const { taken, refused } = await settled([7n, id, 8n]);
      expect(taken.map(({ ids }) => ids)).toEqual([[7, 8]]);
      expect(refused).toEqual([id]);
    },
  );

  it('are whole up to the largest number that is exact', async () => {
    const { taken, refused } = await settled([2n ** 53n - 1n]);
    expect([taken[0]?.ids, refused]).toEqual([[Number.MAX_SAFE_INTEGER], []]);
  });

  it('may be rejected without a reason, and with one of any length', async () => {
    const reject = async (reason: string) =>
      (await settled([1n], { outcome: Settle_Outcome.REJECT, reason })).taken[0]?.outcome;
    expect(await reject('')).toEqual({ kind: 'reject', reason: 'rejected' });
    expect(await reject('bad')).toEqual({ kind: 'reject', reason: 'bad' });
    expect(await reject('x'.repeat(5000))).toEqual({ kind: 'reject', reason: 'x'.repeat(256) });
  });
});
