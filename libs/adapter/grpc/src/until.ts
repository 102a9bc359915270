/** What an input yields until the signal aborts; then it ends, whatever the input still waits for. */
export async function* until<T>(inputs: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = inputs[Symbol.asyncIterator]();
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  for (;;) {
    const pending = iterator.next();
    // When the signal wins nobody waits for it any more.
    pending.catch(() => undefined);
    const next = await Promise.race([pending, aborted]);
    if (next === undefined || next.done === true) return;
    yield next.value;
  }
}
