import { describe, expect, it } from '@jest/globals';
import { Cancellations } from './cancellations.ts';
import { TimerBook } from './timer-book.ts';

function setUp(timers: number) {
  const book = new TimerBook(() => 0);
  for (let position = 1; position <= timers; position++) book.add(position, 1000);
  const drops: (readonly number[])[] = [];
  const drop = (positions: readonly number[]) => {
    drops.push(positions);
    book.decide({ sequence: book.sequence + 1, fire: [], drop: positions });
    return Promise.resolve();
  };
  return { book, drops, drop, cancellations: new Cancellations('acme', book) };
}

describe('timers that are to be taken back', () => {
  it('are dropped in one decision, each for the first that asked for it', async () => {
    const { cancellations, drops, drop } = setUp(5);
    const calls = [cancellations.add([1, 2]), cancellations.add([2, 3]), cancellations.add([2])];
    await cancellations.turn(drop);
    expect(await Promise.all(calls)).toEqual([2, 1, 0]);
    expect(drops).toEqual([[1, 2, 3]]);
    const late = cancellations.add([1]);
    await cancellations.turn(drop);
    expect(await late).toBe(0);
    expect(drops).toHaveLength(1);
  });

  it('wait until their owner has read them', async () => {
    const { book, cancellations, drops, drop } = setUp(1);
    const ahead = cancellations.add([2]);
    await cancellations.turn(drop);
    expect(drops).toEqual([]);
    book.add(2, 1000);
    await cancellations.turn(drop);
    expect(await ahead).toBe(1);
  });

  it('are for another owner when this one ends, and before a decision is stored', async () => {
    const { cancellations } = setUp(2);
    const call = cancellations.add([1]);
    await expect(cancellations.turn(() => Promise.reject(new Error('full')))).rejects.toThrow(
      'full',
    );
    cancellations.close();
    await expect(call).rejects.toMatchObject({ reason: 'FENCED' });
    await expect(cancellations.add([2])).rejects.toMatchObject({ reason: 'FENCED' });
  });

  it('are bounded', async () => {
    const { cancellations, drop } = setUp(1);
    const calls = Array.from({ length: 1000 }, () => cancellations.add([1]));
    await expect(cancellations.add([1])).rejects.toMatchObject({ code: 'ResourceExhausted' });
    await cancellations.turn(drop);
    expect((await Promise.all(calls)).reduce((sum, count) => sum + count)).toBe(1);
  });
});
