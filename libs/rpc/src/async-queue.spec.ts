import { describe, expect, it } from '@jest/globals';
import { AsyncQueue } from './async-queue.ts';

describe('a queue between two sides', () => {
  it('counts what was pushed and not yielded, also of what the iteration has taken over', async () => {
    const queue = new AsyncQueue<number>();
    for (const item of [1, 2, 3]) queue.push(item);
    const items = queue[Symbol.asyncIterator]();
    expect(queue.size).toBe(3);
    expect((await items.next()).value).toBe(1);
    expect(queue.size).toBe(2);
    queue.push(4);
    expect(queue.size).toBe(3);
    for (const item of [2, 3, 4]) expect((await items.next()).value).toBe(item);
    expect(queue.size).toBe(0);
  });

  it('holds nothing for an iteration that was left', async () => {
    const queue = new AsyncQueue<number>();
    for (const item of [1, 2, 3]) queue.push(item);
    for await (const item of queue) if (item === 1) break;
    queue.push(4);
    expect(queue.size).toBe(0);
  });
});
