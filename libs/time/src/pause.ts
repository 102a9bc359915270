import { systemClock, type Clock } from './clock.ts';

/**
 * Resolves after a time, or at once when the signal aborts or has aborted. Never rejects: whoever may
 * be stopped looks at the signal afterwards. Nothing is left of it in the signal or the clock.
 *
 * @param ms 0 to 2,147,483,647 (24 days); timers end at once beyond that.
 */
export function pause(
  ms: number,
  signal?: AbortSignal,
  clock: Pick<Clock, 'setTimer'> = systemClock,
): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimer(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
