import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TwoEnds } from './test/two-ends.ts';
import type { Older } from './test/wire.ts';

const NONE: readonly string[] = [];
const EAST = ['east'] as const;
const TEST_MS = 120_000;

const open: TwoEnds[] = [];
const twoEnds = async (older?: Older): Promise<TwoEnds> => {
  const ends = await TwoEnds.open();
  ends.older = older;
  open.push(ends);
  return ends;
};
const closeAll = () => Promise.all(open.splice(0).map((ends) => ends.close()));
afterEach(closeAll);

const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

describe('what a link has passed by', () => {
  it('is read once, over a new connection and over restarts', async () => {
    const ends = await twoEnds();
    await ends.append(...times(3, EAST), ...times(50, NONE));
    await ends.connect();
    await ends.settled();
    await ends.kept();
    expect(await ends.metric('read_total')).toBe(54);
    await ends.connect();
    await ends.append(...times(2, NONE), EAST);
    await ends.settled();
    await ends.kept();
    expect(await ends.metric('read_total')).toBe(58);
    expect(await ends.metric('filtered_total')).toBe(54);
    await ends.restart();
    await ends.connect();
    await ends.append(EAST);
    await ends.settled();
    expect(await ends.metric('read_total')).toBe(2);
    expect(await ends.metric('taken_total')).toBe(1);
    const at = (await ends.arrived()).map((one) => one.at);
    expect(at).toEqual([1, 2, 3, 57, 59]);
  });

  it('is read again when its mark was not written, and counted once while the process lives', async () => {
    const ends = await twoEnds();
    ends.marksFail = true;
    await ends.append(...times(2, EAST), ...times(20, NONE));
    await ends.connect();
    await ends.settled();
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('filtered_total')).toBe(22);
    // 23 at first, then those behind the last record for east and a further one.
    expect(await ends.metric('read_total')).toBe(23 + 21 + 1);
    ends.marksFail = false;
    await ends.connect();
    await ends.settled();
    await ends.kept();
    expect(await ends.metric('filtered_total')).toBe(23);
    await ends.restart();
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('read_total')).toBe(1);
    expect((await ends.arrived()).length).toBe(2);
  });

  it.each(['sender', 'receiver'] as const)(
    'is read again where the %s is of before, and nothing is lost or comes twice',
    async (older) => {
      const ends = await twoEnds(older);
      await ends.append(EAST, ...times(20, NONE), EAST, NONE, NONE);
      await ends.connect();
      await ends.settled();
      await ends.restart();
      await ends.connect();
      await ends.append(EAST);
      await ends.settled();
      // The two behind the last record, two probes and the new one.
      expect(await ends.metric('read_total')).toBe(5);
      ends.older = undefined;
      await ends.connect();
      await ends.append(NONE, EAST, NONE);
      await ends.settled();
      await ends.kept();
      await ends.restart();
      await ends.connect();
      await ends.settled();
      expect(await ends.metric('read_total')).toBe(1);
      expect((await ends.arrived()).map((one) => one.at)).toEqual([1, 22, 26, 29]);
    },
  );

  it('is read again when it was for a site that lies behind the neighbour by now', async () => {
    const ends = await twoEnds();
    await ends.append(EAST, ...times(5, NONE), ['far'], NONE);
    await ends.connect();
    await ends.settled();
    await ends.kept();
    ends.hops.set('far', 'east');
    await ends.restart();
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('taken_total')).toBe(1);
    expect(await ends.metric('filtered_total')).toBe(1);
    const arrived = await ends.arrived();
    expect(arrived.map(({ at, further }) => [at, ...further])).toEqual([[1], [7, 'far']]);
  });
});

const destinations = (names: readonly string[]) => fc.subarray([...names]);
const awaited = fc.boolean();

describe('a link that keeps what it has passed by', () => {
  it(
    'sends exactly what it sends when it reads everything again, whatever the routes',
    async () => {
      const far = ['far', 'off'];
      const step = fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            append: fc.array(
              fc.oneof(
                { weight: 4, arbitrary: destinations(far) },
                { weight: 1, arbitrary: destinations(['east', ...far]) },
              ),
              { minLength: 1, maxLength: 5 },
            ),
          }),
        },
        {
          weight: 3,
          arbitrary: fc.record({
            route: fc.constantFrom(...far),
            hop: fc.constantFrom('east', 'mid', undefined),
          }),
        },
        { weight: 2, arbitrary: fc.record({ does: fc.constant('connect' as const), awaited }) },
        { weight: 2, arbitrary: fc.record({ does: fc.constant('restart' as const), awaited }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
          const both = [await twoEnds(), await twoEnds('receiver')] as const;
          for (const ends of both) {
            await ends.connect();
            for (const given of steps) {
              if ('append' in given) await ends.append(...given.append);
              else if ('route' in given) {
                if (given.hop === undefined) ends.hops.delete(given.route);
                else ends.hops.set(given.route, given.hop);
              } else {
                if (given.awaited && ends.older === undefined) await ends.kept();
                if (given.does === 'restart') await ends.restart();
                await ends.connect();
              }
              await ends.settled();
            }
          }
          const [marked, plain] = await Promise.all(both.map((ends) => ends.arrived()));
          expect(marked).toEqual(plain);
          await closeAll();
        }),
        { numRuns: 40 },
      );
    },
    TEST_MS,
  );

  it(
    'brings each event once and in order, wherever it breaks and whichever end is of before',
    async () => {
      const step = fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            append: fc.array(fc.constantFrom(NONE, NONE, NONE, EAST), {
              minLength: 1,
              maxLength: 30,
            }),
          }),
        },
        { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('connect', 'restart') }) },
        {
          weight: 2,
          arbitrary: fc.record({
            older: fc.constantFrom<Older[]>('sender', 'receiver', undefined, undefined),
          }),
        },
        { weight: 1, arbitrary: fc.record({ marksFail: fc.boolean() }) },
        { weight: 2, arbitrary: fc.record({ turns: fc.nat(8) }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 30 }), async (steps) => {
          const ends = await twoEnds();
          await ends.connect();
          const wanted: number[] = [];
          let last = 0;
          for (const given of steps) {
            if ('append' in given) {
              await ends.append(...given.append);
              for (const one of given.append) if (++last > 0 && one === EAST) wanted.push(last);
            } else if ('older' in given) ends.older = given.older;
            else if ('marksFail' in given) ends.marksFail = given.marksFail;
            else if ('turns' in given) {
              for (let n = 0; n < given.turns; n++) await new Promise((r) => setImmediate(r));
            } else {
              if (given.does === 'restart') await ends.restart();
              await ends.connect();
            }
          }
          await ends.connect();
          await ends.settled();
          expect((await ends.arrived()).map(({ at }) => at)).toEqual(wanted);
          await closeAll();
        }),
        { numRuns: 40 },
      );
    },
    TEST_MS,
  );
});
