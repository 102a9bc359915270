import { describe, expect, it } from '@jest/globals';
import { Rounds } from './rounds.ts';

describe('rounds', () => {
  it.each([
    [1, 50],
    [7, 50],
    [50, 50],
    [10_000, 50],
    [3, 1],
    [3, 0.5],
  ])('give each of %i items a turn in %f calls, and about as many in each', (count, calls) => {
    const items = new Set(Array.from({ length: count }, (_, i) => i));
    const rounds = new Rounds(items, calls);
    const turns: number[] = [];
    const whole = Math.max(1, calls);
    for (let i = 0; i < 3 * whole; i++) {
      const now = rounds.next();
      expect(now.length).toBeLessThanOrEqual(Math.ceil(count / whole));
      turns.push(...now);
    }
    // What a fraction leaves over may come a call later.
    expect(turns.length).toBeGreaterThanOrEqual(3 * count - 1);
    expect(turns.slice(0, count)).toEqual([...items]);
    for (const item of items) {
      expect(turns.filter((turn) => turn === item).length).toBeGreaterThanOrEqual(2);
      if (count > 100) break;
    }
  });

  it('go on when items come and go', () => {
    const items = new Set<string>();
    const rounds = new Rounds(items, 1);
    expect(rounds.next()).toEqual([]);
    items.add('a');
    expect(rounds.next()).toEqual(['a']);
    items.add('b');
    expect(rounds.next().toSorted()).toEqual(['a', 'b']);
    items.delete('a');
    expect(rounds.next()).toEqual(['b']);
    items.delete('b');
    expect(rounds.next()).toEqual([]);
  });
});
