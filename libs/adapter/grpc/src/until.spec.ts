import { describe, expect, it } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { until } from './until.ts';

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i;
}

const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
};

describe('until', () => {
  it('yields everything of an input that ends first', async () => {
    expect(await all(until(numbers(3), new AbortController().signal))).toEqual([0, 1, 2]);
  });

  it('ends with the signal, also while the input waits for ever', async () => {
    const stop = new AbortController();
    async function* stuck(): AsyncGenerator<number> {
      yield 1;
      stop.abort();
      await new Promise(() => undefined);
    }
    expect(await all(until(stuck(), stop.signal))).toEqual([1]);
  });

  it('yields nothing of an aborted signal', async () => {
    expect(await all(until(numbers(3), AbortSignal.abort()))).toEqual([]);
  });

  it('throws what the input throws', async () => {
    async function* failing(): AsyncGenerator<number> {
      yield 1;
      throw new Error('over');
    }
    await expect(all(until(failing(), new AbortController().signal))).rejects.toThrow('over');
  });

  it('keeps nothing of what it has yielded while the stream goes on', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const refs: WeakRef<object>[] = [];
    async function* frames(): AsyncGenerator<object> {
      for (let i = 0; i < 100; i++) {
        const frame = { events: new Array<number>(1000).fill(i) };
        refs.push(new WeakRef(frame));
        yield frame;
      }
    }
    const stream = until(frames(), new AbortController().signal);
    for (let i = 0; i < 100; i++) await stream.next();
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    const alive = refs.filter((ref) => ref.deref() !== undefined).length;
    expect(alive).toBeLessThan(5);
  });
});
