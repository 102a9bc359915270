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
  const tookMs: number[] = [];
  const open: Promise<unknown>[] = [];
  const startedMs = performance.now();
  let sent = 0;
  while (sent < events) {
    const passedMs = performance.now() - startedMs;
    const due = Math.min(events, 1 + Math.floor((passedMs * rate) / 1000));
    if (due > sent) {
      const first = sent;
      for (const [index, receipt] of send(due - sent).entries()) {
        const dueMs = startedMs + ((first + index) * 1000) / rate;
        open.push(
          receipt.then(() => {
            tookMs.push(performance.now() - dueMs);
          }),
        );
      }
      sent = due;
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(open);
  return { p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99) };
}
