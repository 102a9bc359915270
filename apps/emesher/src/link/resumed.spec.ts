import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '@eventmesh/testing';
import { TwoEnds } from './test/two-ends.ts';

let ends: TwoEnds;
afterEach(() => ends.close());

const EAST = ['east'] as const;

describe('what the neighbour has when a link comes up again', () => {
  it('counts as accepted, and is remembered so, where its word of it was lost', async () => {
    ends = await TwoEnds.open();
    ends.deaf = true;
    await ends.append(EAST, [], EAST);
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('accepted_total')).toBe(0);
    expect(ends.steps(3)).toEqual(['forwarded']);
    ends.deaf = false;
    await ends.connect();
    await eventually(async () => {
      expect(await ends.metric('accepted_total')).toBe(2);
    });
    for (const position of [1, 3]) {
      expect(ends.steps(position)).toEqual(['forwarded', 'link-accepted']);
    }
    // Once, however often the link breaks.
    await ends.append(EAST);
    await ends.settled();
    await ends.connect();
    await ends.settled();
    expect(await ends.metric('accepted_total')).toBe(3);
    expect(await ends.metric('delivered_total')).toBe(3);
  });
});
