import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Default 10,000 ms. */
  readonly timeoutMs?: number;
  /** Pause between attempts. Default 20 ms. */
  readonly intervalMs?: number;
}

/**
 * Repeats `attempt` until it no longer throws, and returns what it returns. At the deadline throws
 * what the last attempt threw, so that a failing expectation is shown as itself.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 20 }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
    await sleep(intervalMs);
  }
}
