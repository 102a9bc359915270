import { MeshError } from '@eventmesh/errors';
import type { Logger } from '@eventmesh/telemetry';

/** A part that stays away is told of again after this long, in ms. */
const AGAIN_MS = 60_000;

/**
 * Logs that another service does not answer, as a start in any order has it for a moment: one line
 * without a stack, and with how often it was tried, however often that is. Every other fault has
 * its own line, with the stack.
 *
 * @param text What does not answer, such as `the acl service is away`.
 * @param now Milliseconds; only differences count.
 */
export function awayLog(
  log: Pick<Logger, 'warn'>,
  text: string,
  now: () => number = () => performance.now(),
): (error: Error) => void {
  let toldMs = -Infinity;
  let since = 0;
  return (err) => {
    const { code, message } = MeshError.from(err);
    if (code !== 'Unavailable') {
      log.warn({ err }, text);
      return;
    }
    since++;
    const nowMs = now();
    if (nowMs - toldMs < AGAIN_MS) return;
    log.warn({ code, cause: message, attempts: since }, `${text}; it is tried again`);
    toldMs = nowMs;
    since = 0;
  };
}
