import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { eventually } from '@eventmesh/testing';
import { TwoEnds } from './test/two-ends.ts';

const NONE: readonly string[] = [];
const EAST = ['east'] as const;
const TEST_MS = 240_000;

const open: TwoEnds[] = [];
const twoEnds = async (): Promise<TwoEnds> => {
  const ends = await TwoEnds.open();
  open.push(ends);
  return ends;
};
const closeAll = () => Promise.all(open.splice(0).map((ends) => ends.close()));
afterEach(closeAll);

const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);

/** Everything that west has for east is there once, in the order in which west has it. */
async function allThereOnce(ends: TwoEnds): Promise<void> {
  const ids = (await ends.arrived()).map(({ id }) => id);
  expect(ids.length).toBe(new Set(ids).size);
  const wanted = await ends.wanted();
  const now = new Set(wanted);
  expect(ids.filter((id) => now.has(id))).toEqual(wanted);
}

describe('a link from a log that was brought back from a copy', () => {
  it.each([
    ['is empty behind the copy', 0],
    ['has a few new records', 5],
    ['has grown beyond what the neighbour has taken', 40],
  ])('brings what is new and keeps what only the neighbour has, when it %s', async (_, fresh) => {
    const ends = await twoEnds();
    await ends.append(...times(10, EAST));
    await ends.connect();
    await ends.settled();
    await ends.backUp();
    await ends.append(...times(20, EAST));
    await ends.connect();
    await ends.settled();
    await ends.kept();
    await ends.bringBack();
    if (fresh > 0) await ends.append(...times(fresh, EAST));
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('restored_total')).toBe(1);
    expect((await ends.arrived()).length).toBe(10 + 20 + fresh);
    await allThereOnce(ends);
    // The copy has 11 records, with the probe; of the newest taken each is remembered.
    const [lost, ...more] = await ends.lost();
    expect(more).toEqual([]);
    expect(lost).toMatchObject({ site: 'east', partition: 0 });
    expect(lost?.end).toBeGreaterThanOrEqual(11 + fresh);
    expect(lost?.from).toBeLessThanOrEqual(12);
    expect(lost?.to).toBeGreaterThanOrEqual(31);
    // From here on it is a log like any other.
    await ends.append(EAST, NONE, EAST);
    await ends.restart();
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('restored_total')).toBe(0);
    expect((await ends.arrived()).length).toBe(10 + 20 + fresh + 2);
    await allThereOnce(ends);
  });

  it('waits while the neighbour is of before, and goes on when it is not', async () => {
    const ends = await twoEnds();
    await ends.append(EAST);
    await ends.backUp();
    await ends.append(...times(5, EAST));
    await ends.connect();
    await ends.settled();
    const before = await ends.arrived();
    await ends.bringBack();
    await ends.append(EAST);
    ends.older = 'receiver';
    await ends.connect();
    await eventually(async () => expect(await ends.metric('restored_total')).toBe(1));
    expect(await ends.arrived()).toEqual(before);
    ends.older = undefined;
    await ends.connect();
    await ends.settled();
    expect((await ends.arrived()).length).toBe(before.length + 1);
    await allThereOnce(ends);
  });

  it(
    'brings each event once and in order, however often and wherever it is brought back',
    async () => {
      const step = fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({
            append: fc.array(fc.constantFrom(NONE, EAST, EAST), { minLength: 1, maxLength: 30 }),
          }),
        },
        {
          weight: 6,
          arbitrary: fc.record({
            does: fc.constantFrom('connect', 'restart', 'backUp', 'bringBack', 'settled'),
          }),
        },
        { weight: 2, arbitrary: fc.record({ turns: fc.nat(8) }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 30 }), async (steps) => {
          const ends = await twoEnds();
          await ends.backUp();
          await ends.connect();
          for (const given of steps) {
            if ('append' in given) await ends.append(...given.append);
            else if ('turns' in given) {
              for (let n = 0; n < given.turns; n++) await new Promise((r) => setImmediate(r));
            } else if (given.does === 'settled') {
              await ends.connect();
              await ends.settled();
              await ends.kept();
            } else if (given.does === 'connect') await ends.connect();
            else if (given.does === 'restart') await ends.restart();
            else if (given.does === 'backUp') await ends.backUp();
            else await ends.bringBack();
          }
          await ends.connect();
          await ends.settled();
          await allThereOnce(ends);
          await closeAll();
        }),
        { numRuns: 60 },
      );
    },
    TEST_MS,
  );
});
