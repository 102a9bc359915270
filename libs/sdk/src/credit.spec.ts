import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CREDIT_BYTES_MAX, CreditRenewal } from './credit.ts';

describe('credit that is given back', () => {
  it('follows what is settled, in steps of a quarter of the events', () => {
    const renewal = new CreditRenewal({ events: 8 });
    renewal.took(1n, 100);
    expect(renewal.settled([1n])).toBeUndefined();
    expect(renewal.settled([2n])).toEqual({ events: 2 });
    expect(renewal.settled([3n])).toBeUndefined();
  });

  it('follows the bytes of what is settled, too, when they are bounded', () => {
    const renewal = new CreditRenewal({ events: 100, bytes: 1000 });
    expect(renewal.first).toEqual({ events: 100, bytes: 1000 });
    renewal.took(1n, 200);
    renewal.took(2n, 50);
    expect(renewal.settled([1n])).toBeUndefined();
    expect(renewal.settled([2n])).toEqual({ events: 2, bytes: 250 });
  });

  it('gives the bytes of one delivery back once, however often it is settled', () => {
    const renewal = new CreditRenewal({ events: 4, bytes: 1000 });
    renewal.took(1n, 100);
    expect(renewal.settled([1n])).toEqual({ events: 1, bytes: 100 });
    expect(renewal.settled([1n])).toEqual({ events: 1, bytes: 0 });
  });

  it.each([0, -1, 1.5, NaN, CREDIT_BYTES_MAX + 1])('is refused of %p bytes', (bytes) => {
    const refusal = { code: 'InvalidArgument', details: { field: 'creditBytes' } };
    expect(() => new CreditRenewal({ events: 1, bytes })).toThrow(
      expect.objectContaining({ ...refusal, details: expect.objectContaining(refusal.details) }),
    );
  });

  it('never lets more out than the bound and one event, and never runs dry', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 200 });
    const settles = fc.infiniteStream(fc.nat());
    const bounds = fc.record({
      events: fc.integer({ min: 1, max: 50 }),
      bytes: fc.integer({ min: 1, max: 5000 }),
    });
    fc.assert(
      fc.property(sizes, bounds, settles, (queue, bound, picks) => {
        const renewal = new CreditRenewal(bound);
        const left = { events: bound.events, bytes: bound.bytes };
        const out = new Map<bigint, number>();
        for (let next = 0; next < queue.length || out.size > 0;) {
          while (next < queue.length && left.events > 0 && left.bytes > 0) {
            const bytes = queue[next] ?? 0;
            const before = [...out.values()].reduce((sum, one) => sum + one, 0);
            expect(before).toBeLessThan(bound.bytes);
            left.events--;
            left.bytes -= bytes;
            out.set(BigInt(next), bytes);
            renewal.took(BigInt(next++), bytes);
          }
          expect(out.size).toBeGreaterThan(0);
          expect(out.size).toBeLessThanOrEqual(bound.events);
          const ids = [...out.keys()];
          const id = ids[(picks.next().value ?? 0) % ids.length] ?? 0n;
          out.delete(id);
          const more = renewal.settled([id]);
          left.events += more?.events ?? 0;
          left.bytes += more?.bytes ?? 0;
        }
      }),
    );
  });
});
