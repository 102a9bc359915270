import { setTimeout as delay } from 'node:timers/promises';

/** Waits; an abort ends it early, without an error. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** A store in this process answers at once, and long work on its answers would keep everybody waiting. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
