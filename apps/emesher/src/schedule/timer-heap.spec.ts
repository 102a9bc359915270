import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TimerHeap } from './timer-heap.ts';

const timers = fc.array(fc.nat(50), { maxLength: 200 });

const drained = (heap: TimerHeap): number[] => {
  const order: number[] = [];
  for (let next = heap.pop(); next !== undefined; next = heap.pop()) order.push(next);
  return order;
};

/** Positions in the order of their due times, earlier positions first. */
const sorted = (due: readonly number[], wanted: (position: number) => boolean = () => true) =>
  due
    .map((dueMs, position) => ({ dueMs, position }))
    .filter(({ position }) => wanted(position))
    .sort((a, b) => a.dueMs - b.dueMs || a.position - b.position)
    .map(({ position }) => position);

describe('the heap of timers', () => {
  it('gives the soonest first, and of two due together the earlier position', () => {
    fc.assert(
      fc.property(timers, (due) => {
        const heap = new TimerHeap();
        for (const [position, dueMs] of due.entries()) heap.push(dueMs, position);
        expect(heap.nextMs).toBe(due.length === 0 ? undefined : Math.min(...due));
        expect(drained(heap)).toEqual(sorted(due));
      }),
    );
  });

  it('keeps its order when some are forgotten and others come', () => {
    fc.assert(
      fc.property(timers, fc.nat(5), (due, keep) => {
        const wanted = (position: number) => position % (keep + 1) === 0;
        const heap = new TimerHeap();
        for (const [position, dueMs] of due.entries()) heap.push(dueMs, position);
        heap.retain(wanted);
        expect(heap.size).toBe(due.filter((_, position) => wanted(position)).length);
        expect(drained(heap)).toEqual(sorted(due, wanted));
      }),
    );
  });

  it('keeps its order when it grows and shrinks over many chunks', () => {
    const heap = new TimerHeap();
    const due = Array.from({ length: 10_000 }, (_, n) => (n * 7919) % 5000);
    for (const [position, dueMs] of due.entries()) heap.push(dueMs, position);
    const inOrder = sorted(due);
    expect(inOrder.slice(0, 9000).map(() => heap.pop())).toEqual(inOrder.slice(0, 9000));
    for (const position of inOrder.slice(0, 9000)) heap.push(due[position] ?? 0, position);
    heap.retain((position) => position % 3 !== 0);
    expect(drained(heap)).toEqual(sorted(due, (position) => position % 3 !== 0));
    expect(heap.size).toBe(0);
    expect(heap.peek()).toBeUndefined();
  });
});
