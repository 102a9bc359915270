import { describe, expect, it } from '@jest/globals';
import { NO_REVISIONS } from '@eventmesh/event';
import { tooFar } from './too-far.ts';

const hops = (...sites: string[]) => sites.map((site) => ({ site, timeUs: 1, ...NO_REVISIONS }));

describe('a record that has come over a link', () => {
  it.each([
    ['goes on where it is new', 'west', hops('west', 'north'), undefined],
    ['loops when this is its origin, whatever hops it names', 'east', hops(), 'loop'],
    ['loops when it has been here', 'west', hops('west', 'east', 'north'), 'loop'],
    ['has come too far with as many hops as may be', 'west', hops('west', 'a', 'b', 'c'), 'hops'],
  ])('%s', (_, originSite, passed, expected) => {
    expect(tooFar({ originSite, hops: passed }, 'east', 4)).toBe(expected);
  });
});
