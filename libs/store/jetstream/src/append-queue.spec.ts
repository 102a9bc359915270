import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AppendQueue } from './append-queue.ts';
import type { Work } from './group.ts';

const LIMITS = { groupsInFlightMax: 2, singlesInFlightMax: 4 };

const work = (messages: number): Work => ({
  batch: {
    log: 'log',
    partition: 0,
    records: Array.from({ length: messages }, () => ({ bytes: Buffer.alloc(0) })),
  },
  bytes: messages,
  resolve: () => undefined,
  reject: () => undefined,
});

const queueOf = (...sizes: readonly number[]): AppendQueue => {
  const queue = new AppendQueue(LIMITS);
  for (const size of sizes) queue.add(work(size));
  return queue;
};
const sizesOf = (works: readonly Work[] | undefined) =>
  works?.map(({ batch }) => batch.records.length);
const many = (count: number, size: number) => Array.from({ length: count }, () => size);

describe('appends that wait to be sent', () => {
  it.each([
    ['nothing', { waiting: [] }, undefined],
    ['one message by itself', { waiting: [1] }, [1]],
    ['few of them one by one', { waiting: [1, 1, 2] }, [1]],
    ['one behind others of a single message', { waiting: [1], inFlight: 3, singles: 3 }, [1]],
    ['none behind as many as there may be', { waiting: [1], inFlight: 4, singles: 4 }, undefined],
    ['none behind a group', { waiting: [1], inFlight: 2, singles: 1 }, undefined],
    ['many of them as a group', { waiting: many(5, 1) }, many(5, 1)],
    ['a group that does not begin with one', { waiting: [2, 1] }, [2, 1]],
    ['no small group behind another', { waiting: [249], inFlight: 1 }, undefined],
    ['a big one behind another', { waiting: [200, 50], inFlight: 1 }, [200, 50]],
    ['no third one', { waiting: [250], inFlight: 2 }, undefined],
    ['no more than a batch may have', { waiting: [300, 800, 1] }, [300]],
    ['what is larger by itself', { waiting: [1200, 1] }, [1200]],
  ] as const)('give %s', (_what, given, sizes) => {
    const { waiting, inFlight = 0, singles = 0 } = { inFlight: 0, singles: 0, ...given };
    const queue = queueOf(...waiting);
    expect(sizesOf(queue.takeGroup(inFlight, singles))).toEqual(sizes);
    expect(queue.size).toBe(waiting.length - (sizes?.length ?? 0));
  });

  it('go again before those that came later', () => {
    const queue = queueOf(3, 4);
    const taken = queue.takeGroup(0, 0) ?? [];
    queue.add(work(5));
    queue.putBack(taken);
    expect(sizesOf(queue.takeAll())).toEqual([3, 4, 5]);
    expect(queue.size).toBe(0);
  });

  it('go all, each once and in order, whatever goes together and comes back', () => {
    const step = fc.oneof(
      fc.record({ add: fc.constantFrom(1, 1, 1, 2, 249, 250, 600) }),
      fc.record({ inFlight: fc.nat(4), single: fc.boolean(), comesBack: fc.boolean() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = queueOf();
        const added: Work[] = [];
        const sent: Work[] = [];
        for (const given of steps) {
          if ('add' in given) {
            added.push(work(given.add));
            queue.add(added[added.length - 1] as Work);
            continue;
          }
          const group = queue.takeGroup(given.inFlight, given.single ? given.inFlight : 0) ?? [];
          if (given.comesBack) queue.putBack(group);
          else sent.push(...group);
        }
        for (let group = queue.takeGroup(0, 0); group !== undefined; group = queue.takeGroup(0, 0))
          sent.push(...group);
        expect(sent).toEqual(added);
        expect(sent.every((each, at) => each === added[at])).toBe(true);
        // No message is counted any more, nor too few: five are many, and four are few again.
        for (const size of many(5, 1)) queue.add(work(size));
        expect(sizesOf(queue.takeGroup(0, 0))).toEqual(many(5, 1));
        for (const size of many(4, 1)) queue.add(work(size));
        expect(sizesOf(queue.takeGroup(0, 0))).toEqual([1]);
      }),
    );
  });
});
