import { describe, expect, it } from '@jest/globals';
import type { WhyAnswer } from '@eventmesh/adapter-api';
import { missingTexts, nobody } from './missing.ts';
import { revisionRemarks, searchText } from './why.ts';

const revisions = {
  policyRevision: 3,
  policyRevisionNow: 3,
  grantsRevision: 5,
  grantsRevisionNow: 5,
  grantsRevisionJudged: 0,
};
const answer = (more: Partial<WhyAnswer>) => ({ site: 'west', ...revisions, ...more }) as WhyAnswer;

describe('the remarks of `mesh why`', () => {
  it.each([
    ['nothing has changed', {}, []],
    ['nothing is known', { policyRevision: 0 }, []],
    [
      'the policies have changed',
      { policyRevisionNow: 4 },
      ['west: the policies have changed since it was judged (revision 3, now 4)'],
    ],
    [
      'the grants have changed, and do not decide',
      { grantsRevisionNow: 9 },
      ['west: the grants have changed since it was judged (revision 5, now 9)'],
    ],
    [
      'the grants have changed, and those of then have decided',
      { grantsRevisionNow: 9, grantsRevisionJudged: 5 },
      [
        'west: the grants have changed since it was judged (revision 5, now 9); this is by those of then',
      ],
    ],
    [
      'the grants have changed, and those of now have decided',
      { grantsRevisionNow: 9, grantsRevisionJudged: 9 },
      [
        'west: the grants have changed since it was judged (revision 5, now 9); this is by those of now',
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

describe('what is missing in an answer', () => {
  it('is named, each with why', () => {
    const silent = { site: 'west', emesher: 'west-2', reason: 'it did not answer: Unavailable: x' };
    const missing = { unreachableSites: ['east'], silentEmeshers: [silent] };
    expect(missingTexts(missing)).toEqual([
      'east should know more and cannot be reached',
      'emesher west-2 of west: it did not answer: Unavailable: x; what it remembers and has refused is not, or not wholly, in this answer',
    ]);
    expect(nobody(missing)).toBe('nobody who has answered');
    expect(nobody({ unreachableSites: [], silentEmeshers: [] })).toBe('no site');
  });
});
