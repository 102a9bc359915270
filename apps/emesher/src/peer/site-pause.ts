import type { Directory } from '../control/directory.ts';

/** Waits, but not on when the emeshers of the site have changed: a name may be free by then. */
export const sitePause =
  (directory: Directory) =>
  (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        forget();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      const forget = directory.listen({ memberLeft: done });
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
