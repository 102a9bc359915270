import { describe, expect, it } from '@jest/globals';
import { Coalesced } from './coalesced.ts';

describe('Coalesced', () => {
  it('runs one at a time; callers during a run share the one after it', async () => {
    const gates: (() => void)[] = [];
    const work = new Coalesced(() => new Promise((resolve) => gates.push(resolve)));
    const first = work.run();
    const second = work.run();
    const third = work.run();
    expect(gates).toHaveLength(1);
    gates[0]?.();
    await first;
    await Promise.resolve();
    expect(gates).toHaveLength(2);
    gates[1]?.();
    await Promise.all([second, third]);
    expect(gates).toHaveLength(2);
    await work.idle();
  });

  it('a failed run fails its callers only; the next one runs', async () => {
    let count = 0;
    const work = new Coalesced(async () => {
      if (++count === 1) throw new Error('first');
    });
    const first = work.run();
    const second = work.run();
    await expect(first).rejects.toThrow('first');
    await second;
    await work.run();
    expect(count).toBe(3);
    await work.idle();
  });
});
