import { AsyncQueue } from '@eventmesh/rpc';
import type { Load, PublishWindow } from './publish-window.ts';

/**
 * Works on inputs as they come, several at a time, and yields the results in the order of the
 * inputs. Takes no further input while the window of unanswered ones is full.
 */
export async function* inOrder<I, O>(
  inputs: AsyncIterable<I>,
  work: (input: I) => Promise<O>,
  weigh: (input: I) => Load,
  window: PublishWindow,
): AsyncGenerator<O> {
  const results = new AsyncQueue<{ readonly load: Load; readonly result: Promise<O> }>();
  let room: (() => void) | undefined;
  let stopped = false;
  const taking = (async () => {
    for await (const input of inputs) {
      if (stopped) return;
      const load = weigh(input);
      const result = work(input);
      // It is awaited later, in order; a failure before that is no unhandled one.
      result.catch(() => undefined);
      window.take(load);
      results.push({ load, result });
      while (window.full && !stopped) {
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
    for await (const { load, result } of results) {
      const answer = await result;
      window.give(load);
      room?.();
      yield answer;
    }
  } finally {
    stopped = true;
    room?.();
  }
}
