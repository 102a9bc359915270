import { describe, expect, it } from '@jest/globals';
import type { WhyAnswer } from '@eventmesh/adapter-api';
import { revisionRemarks, searchText } from './why.ts';

const revisions = {
  policyRevision: 3,
  policyRevisionNow: 3,
  grantsRevision: 5,
  grantsRevisionNow: 5,
};
const answer = (more: Partial<WhyAnswer>) => ({ site: 'west', ...revisions, ...more }) as WhyAnswer;

describe('the remarks of `mesh why`', () => {
  it.each([
    ['nothing has changed', {}, []],
    ['nothing is known', { policyRevision: 0 }, []],
    [
      'the policies have changed',
      { policyRevisionNow: 4 },
      [
        'west: the policies have changed since it was admitted (revision 3, now 4); answers are by those of now',
      ],
    ],
    [
      'the grants have changed',
      { grantsRevisionNow: 9 },
      [
        'west: the grants have changed since it was admitted (revision 5, now 9); answers are by those of now',
      ],
    ],
  ])('%s', (_, more, remarks) => {
    expect(revisionRemarks([answer(more), answer(more)])).toEqual(remarks);
  });

  it.each([
    [{ from: 1, to: 0, first: 1 }, 'west, partition 0: the log is empty'],
    [
      { from: 3, to: 12, first: 3 },
      'west, partition 0: not remembered, so 10 records were looked through (all that is stored)',
    ],
    [
      { from: 101, to: 200, first: 1 },
      'west, partition 0: not remembered, so 100 records were looked through (100 older ones were not looked at)',
    ],
  ])('a search from %j', (range, text) => {
    expect(searchText({ site: 'west', partition: 0, ...range })).toBe(text);
  });
});
