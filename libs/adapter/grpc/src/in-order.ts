import { AsyncQueue } from '@eventmesh/rpc';

/**
 * Works on inputs as they come, several at a time, and yields the results in the order of the
 * inputs. Takes no further input while the weight of unanswered ones is at the limit.
 */
export async function* inOrder<I, O>(
  inputs: AsyncIterable<I>,
  work: (input: I) => Promise<O>,
  weigh: (input: I) => number,
  weightMax: number,
): AsyncGenerator<O> {
  const results = new AsyncQueue<{ readonly weight: number; readonly result: Promise<O> }>();
  let weight = 0;
  let room: (() => void) | undefined;
  let stopped = false;
  const taking = (async () => {
    for await (const input of inputs) {
      if (stopped) return;
      const own = weigh(input);
      const result = work(input);
      // It is awaited later, in order; a failure before that is no unhandled one.
      result.catch(() => undefined);
      weight += own;
      results.push({ weight: own, result });
      while (weight >= weightMax && !stopped) {
        await new Promise<void>((resolve) => {
          room = resolve;
        });
      }
    }
  })();
  taking.then(
    () => results.end(),
    (error: unknown) => results.end(error),
  );
  try {
    for await (const { weight: own, result } of results) {
      const answer = await result;
      weight -= own;
      room?.();
      yield answer;
    }
  } finally {
    stopped = true;
    room?.();
  }
}
