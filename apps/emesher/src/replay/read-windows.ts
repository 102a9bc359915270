import type { Logger } from '@eventmesh/telemetry';
import { pause } from '@eventmesh/time';
import { scan, type ScanOptions, type Scanned } from './scan.ts';
import type { Window } from './window.ts';

export interface ReadWindowsOptions extends Omit<ScanOptions, 'window'> {
  readonly windows: readonly Window[];
  readonly logger: Logger;
}

/** Pause before a failed read is tried again, in ms. */
const RETRY_MS = 250;

/**
 * Reads windows one after the other: one read stream, and every key in its order. After a failure
 * it goes on where it was. `take` resolves when more may come.
 *
 * @returns Whether everything was read; false when the signal aborted.
 */
export async function readWindows(
  { windows, logger, ...options }: ReadWindowsOptions,
  take: (window: Window, item: Scanned) => Promise<void>,
): Promise<boolean> {
  const { signal } = options;
  for (const window of windows) {
    let next = window.from;
    while (next <= window.to && !signal.aborted) {
      try {
        for await (const item of scan({ ...options, window: { ...window, from: next } })) {
          next = (item.kind === 'gap' ? item.to : item.upTo) + 1;
          await take(window, item);
          if (signal.aborted) return false;
        }
      } catch (error) {
        if (signal.aborted) return false;
        logger.warn({ err: error, log: options.log }, 'a replay could not read on; trying again');
        await pause(RETRY_MS);
      }
    }
  }
  return !signal.aborted;
}
