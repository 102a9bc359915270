import { quantile } from '../statistics.ts';

/** Pause between two looks at the clock, in ms. */
const TICK_MS = 1;
/** Paced before the timed part, so that neither side is measured while it is still being compiled. */
export const WARM_UP_SECONDS = 3;

/**
 * Sends at a fixed rate, open-loop, and answers how long each event took from the time when it was
 * due, in ms: what falls behind counts as late and not as fewer events.
 */
export async function paced(
  rate: number,
  events: number,
  send: (count: number) => readonly Promise<unknown>[],
): Promise<{ readonly p50: number; readonly p99: number }> {
  // Plain numbers and a count: what the generator keeps, its own garbage collector walks through.
  const tookMs = new Float64Array(events);
  let answered = 0;
  const finished = Promise.withResolvers<void>();
  const startedMs = performance.now();
  let sent = 0;
  while (sent < events) {
    const passedMs = performance.now() - startedMs;
    const due = Math.min(events, 1 + Math.floor((passedMs * rate) / 1000));
    if (due > sent) {
      const first = sent;
      for (const [index, receipt] of send(due - sent).entries()) {
        const dueMs = startedMs + ((first + index) * 1000) / rate;
        receipt.then(() => {
          tookMs[answered++] = performance.now() - dueMs;
          if (answered === events) finished.resolve();
        }, finished.reject);
      }
      sent = due;
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await finished.promise;
  return { p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99) };
}
