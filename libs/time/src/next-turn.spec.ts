import { describe, expect, it } from '@jest/globals';
import { nextTurn } from './next-turn.ts';

describe('nextTurn', () => {
  it('comes behind what was scheduled before, and all that this turn has to do', async () => {
    const done: string[] = [];
    setImmediate(() => done.push('scheduled before'));
    const turn = nextTurn();
    process.nextTick(() => done.push('tick'));
    void Promise.resolve()
      .then(() => undefined)
      .then(() => done.push('microtasks'));
    await turn;
    expect(done.toSorted()).toEqual(['microtasks', 'scheduled before', 'tick']);
    expect(done.at(-1)).toBe('scheduled before');
  });
});
