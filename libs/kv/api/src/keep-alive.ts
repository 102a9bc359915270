import { unavailable } from '@eventmesh/errors';
import type { Clock } from '@eventmesh/time';
import type { KvKeepAlive } from './kv.ts';
import { isLeaseNotFound } from './validate.ts';

/**
 * The keep-alive both plugins use: a renewal every third of the lease's time, a failed one repeated
 * after a tenth of it. Time is counted from the *start* of the last renewal that came through, so
 * that the holder gives up before the store does.
 * @param onEnd called once when it is lost or stopped
 */
export function keepLeaseAlive(
  lease: { readonly id: string; readonly ttlMs: number; renew(): Promise<void> },
  clock: Clock,
  onLost: (reason: Error) => void,
  onEnd: () => void = () => undefined,
): KvKeepAlive {
  let deadline = clock.now() + lease.ttlMs;
  let stopped = false;
  let cancelRenewal = (): void => undefined;
  let cancelDeadline = (): void => undefined;

  const stop = () => {
    if (stopped) return;
    stopped = true;
    onEnd();
    cancelRenewal();
    cancelDeadline();
  };
  const lose = (reason: Error) => {
    if (stopped) return;
    stop();
    onLost(reason);
  };
  const armDeadline = () => {
    cancelDeadline();
    cancelDeadline = clock.setTimer(Math.max(0, deadline - clock.now()), () => {
      lose(unavailable(`lease ${lease.id} was not renewed within ${lease.ttlMs} ms`));
    });
  };
  const renewAfter = (delayMs: number) => {
    cancelRenewal = clock.setTimer(delayMs, () => {
      const startedAt = clock.now();
      lease.renew().then(
        () => {
          if (stopped) return;
          deadline = startedAt + lease.ttlMs;
          armDeadline();
          renewAfter(lease.ttlMs / 3);
        },
        (error: unknown) => {
          if (stopped) return;
          if (isLeaseNotFound(error)) lose(error as Error);
          else renewAfter(lease.ttlMs / 10);
        },
      );
    });
  };
  armDeadline();
  renewAfter(lease.ttlMs / 3);
  return { stop };
}
