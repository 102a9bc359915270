import { describe, expect, it } from '@jest/globals';
import { Burials } from './burials.ts';

const timer = (position: number) => ({ position, dueMs: position, outcome: 'dead-letter' });
const due = (position: number) => ({ position, dueMs: position });
const turn = () => new Promise((resolve) => setImmediate(resolve));

function burials() {
  const told = { changes: 0, writes: 0 };
  const one = new Burials(() => told.changes++);
  const writing = Promise.withResolvers<undefined>();
  const write = () => {
    told.writes++;
    return writing.promise;
  };
  return { one, told, write, ...writing };
}

describe('timers that are given up', () => {
  it('are done with once their letters are durable, and not before', async () => {
    const { one, told, write, resolve } = burials();
    one.add([timer(1), timer(2)], write);
    expect(one.take()).toEqual({ durable: [], again: [] });
    expect(one.idle).toBe(false);
    resolve(undefined);
    await turn();
    expect(told).toEqual({ changes: 1, writes: 1 });
    expect(one.take()).toEqual({ durable: [timer(1), timer(2)], again: [] });
    expect(one.idle).toBe(true);
  });

  it('wait behind a group that is being written, and are looked at again after it', async () => {
    const { one, told, write, resolve } = burials();
    one.add([timer(1)], write);
    one.add([timer(2)], write);
    one.add([timer(3)], write);
    expect(told.writes).toBe(1);
    expect(one.take()).toEqual({ durable: [], again: [] });
    resolve(undefined);
    await turn();
    expect(one.take()).toEqual({ durable: [timer(1)], again: [due(2), due(3)] });
    expect(one.take()).toEqual({ durable: [], again: [] });
  });

  it('are looked at again when the wait for their letters is given up', async () => {
    const { one, told, write, reject } = burials();
    one.add([timer(1)], write);
    reject(new Error('given up'));
    await turn();
    expect(told.changes).toBe(1);
    expect(one.take()).toEqual({ durable: [], again: [due(1)] });
  });

  it('are looked at again in the order of their times, some thousands at a time', async () => {
    const { one, write, resolve } = burials();
    one.add([timer(0)], write);
    const many = Array.from({ length: 25_000 }, (_, n) => timer(25_000 - n));
    for (let from = 0; from < many.length; from += 500) {
      one.add(many.slice(from, from + 500), write);
    }
    resolve(undefined);
    await turn();
    const seen: number[] = [];
    while (!one.idle) {
      const { again } = one.take();
      expect(again.length).toBeLessThanOrEqual(10_000);
      seen.push(...again.map(({ position }) => position));
    }
    expect(seen).toEqual(Array.from({ length: 25_000 }, (_, n) => n + 1));
  });
});
