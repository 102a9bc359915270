import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PASSED_SITES_MAX, Passed, readOnFrom } from './passed.ts';

const by = (upTo: number, ...sites: readonly [string, number, number][]) => ({
  upTo,
  ingressTimeUs: 1,
  sites: sites.map(([site, first, last]) => ({ site, first, last })),
});

describe('where a link reads on', () => {
  it.each([
    ['behind the last record where nothing is kept', 5, undefined, 5],
    ['behind what was passed by', 5, by(90), 90],
    ['behind what was for sites that lie elsewhere', 5, by(90, ['far', 20, 60]), 90],
    ['at the first record for a site that lies there now', 5, by(90, ['here', 20, 60]), 19],
    ['at the first of several', 5, by(90, ['here', 20, 60], ['near', 12, 13]), 11],
    ['never before the last record', 30, by(90, ['here', 20, 60]), 30],
    ['at the first record for a site that is not told apart', 5, by(90, ['', 40, 80]), 39],
  ])('%s', (_, last, passed, expected) => {
    expect(readOnFrom(last, passed, (site) => site === 'here' || site === 'near')).toBe(expected);
  });
});

describe('what a lane passes by', () => {
  it('never hides a record that would go over the link if it were looked at again', () => {
    const site = fc.integer({ min: 0, max: PASSED_SITES_MAX + 20 }).map((n) => `s${n}`);
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ look: fc.array(site, { maxLength: 6 }) }) },
      { weight: 1, arbitrary: fc.constant({ does: 'send' as const }) },
      { weight: 1, arbitrary: fc.constant({ does: 'break' as const }) },
    );
    const leads = fc.array(site, { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), leads, (steps, lead) => {
        let passed = new Passed();
        const log: (readonly string[])[] = [];
        let sent = 0;
        for (const given of steps) {
          if ('look' in given) {
            log.push(given.look);
            passed.looked(log.length, log.length, given.look);
          } else if (given.does === 'send') {
            log.push([]);
            passed.looked(log.length, log.length, []);
            sent = log.length;
            passed.sent(sent);
          } else {
            const kept = passed.behind(sent);
            passed = new Passed(kept);
            // Reading goes on behind what is kept; the next record is another one.
            if (kept !== undefined) expect(kept.upTo).toBe(log.length);
          }
        }
        const kept = passed.behind(sent);
        const from = readOnFrom(sent, kept, (one) => lead.includes(one));
        const missed = log
          .map((sites, index) => ({ position: index + 1, sites }))
          .filter(({ position }) => position > sent && position <= from)
          .filter(({ sites }) => sites.some((one) => lead.includes(one)));
        expect(missed).toEqual([]);
        expect(kept?.sites.length ?? 0).toBeLessThanOrEqual(PASSED_SITES_MAX);
        if (lead.length === 0 && kept?.sites.every(({ site: name }) => name !== '') === true) {
          expect(from).toBe(kept.upTo);
        }
      }),
      { numRuns: 500 },
    );
  });
});
