/**
 * What an input yields until the signal aborts; then it ends, whatever the input still waits for.
 * Not by `Promise.race` with a promise of the signal: that one would remember every race, and with
 * it every input, for as long as the stream lives.
 */
export async function* until<T>(inputs: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = inputs[Symbol.asyncIterator]();
  let stop: (() => void) | undefined;
  const abort = () => stop?.();
  signal.addEventListener('abort', abort, { once: true });
  try {
    while (!signal.aborted) {
      const next = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        stop = () => resolve(undefined);
        iterator.next().then(resolve, reject);
      });
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
