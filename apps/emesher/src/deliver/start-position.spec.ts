import { describe, expect, it } from '@jest/globals';
import type { Start } from '@eventmesh/delivery';
import { checkStartTime } from './start-position.ts';

const NOW = Date.parse('2027-01-01T00:00:00Z');

describe('a start at a time', () => {
  it.each<[string, Start]>([
    ['that has come', { kind: 'time', timeMs: NOW }],
    ['that a clock a little ahead takes for now', { kind: 'time', timeMs: NOW + 5000 }],
    ['of which nothing is said', { kind: 'latest' }],
  ])('%s is one', (_, start) => {
    expect(() => checkStartTime(start, NOW)).not.toThrow();
  });

  it('that has not come is refused, with the field, the limit and what to do', () => {
    expect(() => checkStartTime({ kind: 'time', timeMs: NOW + 5001 }, NOW)).toThrow(
      expect.objectContaining({
        code: 'InvalidArgument',
        details: expect.objectContaining({
          field: 'start.timeMs',
          limit: 'at most now, 2027-01-01T00:00:00.000Z',
        }),
        message: expect.stringContaining('begin at latest, then'),
      }),
    );
  });

  it.each([Number.MAX_SAFE_INTEGER, Number.NaN])(
    'that no date can be, %s, is refused',
    (timeMs) => {
      expect(() => checkStartTime({ kind: 'time', timeMs }, NOW)).toThrow(
        expect.objectContaining({ code: 'InvalidArgument' }),
      );
    },
  );
});
