import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MeshError } from '@eventmesh/errors';
import { LinkOwners, isLinkFenced } from './link-owners.ts';
import { TwoEnds } from './test/two-ends.ts';

const EAST = ['east'] as const;
const NONE: readonly string[] = [];
const TEST_MS = 240_000;

const open: TwoEnds[] = [];
const closeAll = () => Promise.all(open.splice(0).map((ends) => ends.close()));
afterEach(closeAll);

describe('the owners of a link, as its receiver knows them', () => {
  /** Epochs and members as they come; which of them are fenced in the end. */
  it.each([
    ['the same one again keeps its newest connection', ['5a', '5a'], ['5a']],
    ['a newer one ends the older one', ['5a', '6b'], ['5a']],
    ['an older one is refused', ['6b', '5a'], ['5a']],
    ['an equal one of another member is refused', ['6b', '6a'], ['6a']],
    ['one that does not tell its epoch is let in', ['6b', '0a'], []],
    ['each newer one ends the one before it', ['5a', '6b', '7a', '5a'], ['5a', '6b', '5a']],
  ])('%s', (_, entering, fenced) => {
    const owners = new LinkOwners();
    const told: string[] = [];
    for (const each of entering) {
      const fence = (error: MeshError) => {
        expect(isLinkFenced(error)).toBe(true);
        told.push(each);
      };
      owners.enter('west', { epoch: Number(each[0]), member: each.slice(1), fence });
      // Another neighbour has a link of its own.
      owners.enter('south', { epoch: 1, member: 'x', fence: () => undefined });
    }
    expect(told).toEqual(fenced);
  });
});

describe('a link whose owner was paused while another one took it', () => {
  it(
    'takes nothing of the former owner, brings each event once, and never disturbs the new one',
    async () => {
      const step = fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({
            append: fc.array(fc.constantFrom(NONE, EAST, EAST), { minLength: 1, maxLength: 20 }),
          }),
        },
        {
          weight: 4,
          arbitrary: fc.record({
            does: fc.constantFrom('takeOver', 'pauseFormer', 'wakeFormer', 'settled'),
          }),
        },
        { weight: 2, arbitrary: fc.record({ turns: fc.nat(8) }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
          const ends = await TwoEnds.open();
          open.push(ends);
          await ends.connect();
          let former = 0;
          for (const given of steps) {
            if ('append' in given) await ends.append(...given.append);
            else if ('turns' in given) {
              for (let n = 0; n < given.turns; n++) await new Promise((r) => setImmediate(r));
            } else if (given.does === 'takeOver') {
              await ends.takeOver();
              former++;
            } else if (given.does === 'settled') await ends.settled();
            else if (given.does === 'pauseFormer') ends.pauseFormer();
            else ends.wakeFormer();
          }
          await ends.settled();
          const wanted = await ends.wanted();
          expect((await ends.arrived()).map(({ id }) => id)).toEqual(wanted);
          const ended = await ends.formerEnds();
          expect(ended.length).toBe(former);
          expect(ended.filter((error) => !isLinkFenced(error))).toEqual([]);
          // Throws if the connection of the present owner was ended by anything.
          await closeAll();
        }),
        { numRuns: 30 },
      );
    },
    TEST_MS,
  );
});
