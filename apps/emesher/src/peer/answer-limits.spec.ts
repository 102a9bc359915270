import { describe, expect, it } from '@jest/globals';
import type { Located, Standing } from '../inspect/memory.ts';
import type { HeldEvent } from '../inspect/why/facts.ts';
import { limitBooks, limitLocated } from './answer-limits.ts';

const at = { partition: 0, position: 1 };
const step = { ...at, timeUs: 1, step: 'delivered', subject: 's', detail: '' };
const held: HeldEvent = {
  state: 'later',
  attempts: 1,
  failures: 1,
  reason: 'r'.repeat(1000),
  consumer: '',
  dueMs: 0,
  ahead: 0,
};
const standing: Standing = {
  ...at,
  subscription: 's',
  epoch: 1,
  place: { kind: 'held', ...held },
};
const located = (steps: number, standings: number): Located => ({
  steps: Array.from({ length: steps }, () => step),
  standings: Array.from({ length: standings }, () => standing),
  links: [],
  more: false,
});
const counters = {
  considered: 0,
  delivered: 0,
  filtered: 0,
  expired: 0,
  deadLettered: 0,
  dropped: 0,
};
const books = (running: number) => ({
  receipts: 1,
  base: 0,
  running: Array.from({ length: running }, (_, n) => ({
    ...{ name: `s${n}`, epoch: 1, held: 0, partitions: [] },
    counters,
  })),
  more: false,
  othersLeft: false,
});

describe('an answer to another emesher', () => {
  it.each([
    [4000, 4000, false],
    [4001, 1, true],
    [1, 4001, true],
  ])('of %d steps and %d standings has more than fits: %s', (steps, standings, more) => {
    const limited = limitLocated(located(steps, standings));
    expect(limited.more).toBe(more);
    expect(limited.steps).toHaveLength(Math.min(4000, steps));
    expect(limited.standings).toHaveLength(Math.min(4000, standings));
    expect(limited.standings[0]?.place).toMatchObject({ reason: 'r'.repeat(256) });
  });

  it('says when more subscriptions run than fit it', () => {
    expect(limitBooks(books(10_000))).toEqual(books(10_000));
    const limited = limitBooks(books(10_001));
    expect([limited.running.length, limited.more]).toEqual([10_000, true]);
  });
});
