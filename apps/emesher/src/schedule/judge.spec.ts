import { describe, expect, it } from '@jest/globals';
import { NO_HANDLING, decodeRecord, encodeEvent, encodeRecord } from '@eventmesh/event';
import { LatePolicy } from '@eventmesh/proto-gen/event';
import { judge, type Law } from './judge.ts';

const { FIRE, SKIP, DEAD_LETTER } = LatePolicy;

function timer(position: number, dueMs: number, latePolicy: LatePolicy = FIRE, topic = 'a') {
  const event = encodeEvent({ id: String(position), source: '/s', type: 't' });
  const bytes = encodeRecord(
    {
      tenant: 't',
      topic,
      principal: 'user:ann',
      originSite: 'west',
      destinations: [],
      ingressTimeUs: 1,
      hops: [],
      handling: { ...NO_HANDLING, deliverAtMs: dueMs, latePolicy },
    },
    event,
  );
  return { position, dueMs, record: decodeRecord(bytes) };
}

const LAW: Law = {
  nowMs: 10_000,
  toleranceMs: 1000,
  mayPublish: ({ topic }) => Promise.resolve(topic === 'unknown' ? undefined : topic !== 'secret'),
  partition: ({ topic }) => Promise.resolve(topic === 'b' ? 1 : 0),
};

describe('what becomes of timers that are due', () => {
  it('depends on how late they are, on their policies, and on the rights of their publishers', async () => {
    const due = [
      timer(1, 1, SKIP),
      timer(2, 2, DEAD_LETTER),
      timer(3, 3),
      timer(4, 4, SKIP, 'secret'),
      timer(5, 9000, SKIP),
      timer(6, 9500, DEAD_LETTER, 'b'),
      timer(7, 9999, FIRE, 'secret'),
      timer(8, 10_000),
    ];
    const verdicts = await judge(due, LAW);
    expect(verdicts?.fire).toEqual(
      new Map([
        [0, [3, 5, 8]],
        [1, [6]],
      ]),
    );
    expect(verdicts?.drop).toEqual([1]);
    expect(verdicts?.dead.map(({ position, cause }) => [position, cause])).toEqual([
      [2, 'late'],
      [4, 'forbidden'],
      [7, 'forbidden'],
    ]);
    expect(verdicts?.counts).toEqual({ skip: 1, 'fire-late': 1, fire: 3 });
  });

  it('is not known for any of them while it is not known who may publish', async () => {
    const due = [timer(1, 9999), timer(2, 9999, FIRE, 'unknown')];
    expect(await judge(due, LAW)).toBeUndefined();
  });
});
