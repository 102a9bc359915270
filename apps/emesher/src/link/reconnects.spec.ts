import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Reconnects, type Attempt } from './reconnects.ts';

const FAILED: Attempt = { dialled: true, upMs: 0 };
const STANDBY: Attempt = { dialled: false, upMs: 0 };
const up = (upMs: number): Attempt => ({ dialled: true, upMs });

/** Least and longest pause after each attempt. */
function pauses(attempts: readonly Attempt[]): [number, number][] {
  const least = new Reconnects(() => 0);
  const most = new Reconnects(() => 1);
  return attempts.map((each) => [least.pauseAfter(each), most.pauseAfter(each)]);
}

describe('a link that could not be opened', () => {
  it.each([
    [
      'to a neighbour that has never answered is tried again soon, then more seldom',
      [FAILED, FAILED, FAILED, FAILED, FAILED, FAILED],
      [
        [50, 100],
        [100, 200],
        [200, 400],
        [400, 800],
        [800, 1600],
        [1000, 2000],
      ],
    ],
    [
      'and was steady before is tried at once, then once a second at most',
      [up(10_000), FAILED, FAILED],
      [
        [50, 100],
        [1000, 2000],
        [1000, 2000],
      ],
    ],
    [
      'and flaps is tried once a second at most',
      [FAILED, up(900), up(900), up(20_000), up(900)],
      [
        [50, 100],
        [1000, 2000],
        [1000, 2000],
        [50, 100],
        [1000, 2000],
      ],
    ],
    [
      'since another emesher has it is asked for as before, since nothing is dialled',
      [up(900), STANDBY, STANDBY],
      [
        [50, 100],
        [100, 200],
        [200, 400],
      ],
    ],
  ])('%s', (_, attempts, want) => {
    expect(pauses(attempts)).toEqual(want);
  });

  it('is dialled at most once a second, but for once after each steady connection', () => {
    const attempt = fc.oneof(
      fc.constant(FAILED),
      fc.integer({ min: 1, max: 30_000 }).map((ms) => up(ms)),
    );
    fc.assert(
      fc.property(
        fc.array(attempt, { maxLength: 60 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        (attempts, random) => {
          const reconnects = new Reconnects(() => random.next().value ?? 0);
          reconnects.pauseAfter(up(1));
          const dialledMs: number[] = [];
          let nowMs = 0;
          for (const each of attempts) {
            dialledMs.push(nowMs);
            nowMs += each.upMs + reconnects.pauseAfter(each);
          }
          for (const [index, atMs] of dialledMs.entries()) {
            const within = dialledMs.slice(index).filter((ms) => ms < atMs + 10_000).length;
            expect(within).toBeLessThanOrEqual(10 + 1);
          }
        },
      ),
    );
  });
});
