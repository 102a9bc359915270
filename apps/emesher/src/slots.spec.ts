import { describe, expect, it } from '@jest/globals';
import { Slots } from './slots.ts';

describe('slots', () => {
  const slots = () => new Slots({ max: 3, maxPerTenant: 2 }, 'lanes', 'REPLAYS_MAX');

  it('are bounded for a tenant without touching the others, and in all', () => {
    const some = slots();
    some.take('a');
    some.take('a');
    expect(() => some.take('a')).toThrow(
      expect.objectContaining({ code: 'ResourceExhausted', reason: 'REPLAYS_MAX' }),
    );
    some.take('b');
    expect(() => some.take('b')).toThrow(/too many lanes/);
    expect(some.taken).toBe(3);
  });

  it('are free again once, however often they are freed', () => {
    const told: [string, number][] = [];
    const some = new Slots({ max: 2, maxPerTenant: 2 }, 'x', 'REPLAYS_MAX', (...now) =>
      told.push(now),
    );
    const free = some.take('a');
    some.take('a');
    free();
    free();
    expect(some.taken).toBe(1);
    expect(told).toEqual([
      ['a', 1],
      ['a', 2],
      ['a', 1],
    ]);
  });
});
