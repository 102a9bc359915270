import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MeshError } from '@eventmesh/errors';
import { MessageBudget } from './message-budget.ts';

const MAX = 800;

/** A budget with a clock of its own, and calls by name; tells which were refused, in order. */
function setUp(max = MAX) {
  let nowMs = 0;
  const refused: string[] = [];
  const errors: MeshError[] = [];
  let counted = 0;
  const budget = new MessageBudget({
    max,
    field: 'request',
    onRefused: () => counted++,
    now: () => nowMs,
  });
  const call = (name: string) =>
    budget.share((error) => {
      refused.push(name);
      errors.push(error);
    });
  const pass = (ms: number) => void (nowMs += ms);
  return { budget, refused, errors, call, pass, counted: () => counted };
}

describe('the budget of unfinished messages', () => {
  it('refuses nobody up to its bound, and counts what is finished no more', () => {
    const { budget, refused, call } = setUp();
    const [a, b] = [call('a'), call('b')];
    for (let round = 0; round < 10; round++) {
      a(500);
      b(300);
      expect(budget.bytes).toBe(MAX);
      a(0);
      b(0);
    }
    expect([budget.bytes, refused]).toEqual([0, []]);
  });

  it('refuses the largest beyond it, with the field, the limit and the way out', () => {
    const { budget, refused, errors, call, counted } = setUp();
    call('small')(200);
    call('large')(500);
    call('middle')(300);
    expect(refused).toEqual(['large']);
    expect([budget.bytes, counted()]).toEqual([500, 1]);
    expect(errors[0]).toMatchObject({
      code: 'ResourceExhausted',
      message: expect.stringContaining('send it again later'),
      details: { field: 'request', limit: '800 bytes', reason: 'UNFINISHED_MESSAGES' },
    });
    expect(errors[0]?.details.retryAfterMs).toBeGreaterThan(0);
  });

  it('refuses who has held for long before who has just begun a larger message', () => {
    const { refused, call, pass } = setUp();
    for (const name of ['a', 'b', 'c']) call(name)(200);
    pass(1000);
    call('large')(300);
    expect(refused).toEqual(['a']);
  });

  it('counts the time of each message anew', () => {
    const { refused, call, pass } = setUp();
    const old = call('old');
    old(200);
    old(0);
    pass(1000);
    call('other')(500);
    pass(10);
    old(200);
    call('new')(300);
    expect(refused).toEqual(['other']);
  });

  it('keeps to its bound whatever comes, and is empty when all are gone', () => {
    const step = fc.record({
      call: fc.integer({ min: 0, max: 9 }),
      bytes: fc.integer({ min: 0, max: MAX }),
      passMs: fc.integer({ min: 0, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { budget, refused, call, pass } = setUp();
        const calls = Array.from({ length: 10 }, (_, number) => call(String(number)));
        for (const { call: number, bytes, passMs } of steps) {
          pass(passMs);
          // A call that was refused keeps nothing any more.
          if (!refused.includes(String(number))) calls[number]?.(bytes);
          expect(budget.bytes).toBeLessThanOrEqual(MAX);
          expect(budget.bytes).toBeGreaterThanOrEqual(0);
        }
        for (const end of calls) end(0);
        expect(budget.bytes).toBe(0);
        expect(new Set(refused).size).toBe(refused.length);
      }),
    );
  });
});
