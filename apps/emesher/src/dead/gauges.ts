import type { Logger } from '@eventmesh/telemetry';
import type { EmesherMetrics } from '../metrics.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DeadLog } from './dead-log.ts';
import type { DeadLimitsOf } from './limits.ts';

export interface DeadGaugesDeps {
  readonly log: DeadLog;
  readonly letters: DeadLetters;
  readonly limits: DeadLimitsOf;
  readonly metrics: EmesherMetrics;
  readonly now: () => number;
  readonly logger: Logger;
}

const INTERVAL_MS = 10_000;

/**
 * Tells the metrics what lies in the logs of dead letters, now and then, and raises the alarm. A
 * retention that was changed meanwhile holds from then on.
 */
export class DeadGauges {
  readonly #deps: DeadGaugesDeps;
  readonly #alarmed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> = Promise.resolve();

  constructor(deps: DeadGaugesDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#telling = this.#tell();
    this.#timer = setInterval(() => {
      // One look at a time, also while the store is slow.
      this.#telling = this.#telling.then(() => this.#tell());
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
  }

  async #tell(): Promise<void> {
    const { log, letters, limits, metrics, now, logger } = this.#deps;
    try {
      for (const [tenant, info] of await log.all()) {
        await log.ensure(tenant);
        const { bytesMax, alarmBytes } = limits(tenant);
        const { count, bytes, first } = await log.stats(tenant, info);
        const oldestMs = count === 0 ? 0 : await log.diedAt(tenant, first);
        const age = oldestMs === 0 ? 0 : Math.max(0, now() - oldestMs) / 1000;
        metrics.deadLetters.set({ tenant }, count);
        metrics.deadLettersBytes.set({ tenant }, bytes);
        metrics.deadLettersOldestSeconds.set({ tenant }, age);
        metrics.deadLettersBytesMax.set({ tenant }, bytesMax);
        metrics.deadLettersFull.set({ tenant }, bytes >= bytesMax || letters.full(tenant) ? 1 : 0);
        this.#alarm(tenant, bytes, alarmBytes);
      }
    } catch (error) {
      logger.debug({ err: error }, 'the dead letters could not be counted this time');
    }
  }

  /** Said once when it begins and once when it ends. */
  #alarm(tenant: string, bytes: number, alarmBytes: number): void {
    const { metrics, logger } = this.#deps;
    const alarm = bytes >= alarmBytes;
    metrics.deadLettersAlarm.set({ tenant }, alarm ? 1 : 0);
    if (alarm === this.#alarmed.has(tenant)) return;
    if (alarm) {
      this.#alarmed.add(tenant);
      logger.warn({ tenant, bytes, alarmBytes }, 'the dead letters come near their quota');
    } else {
      this.#alarmed.delete(tenant);
      logger.info(
        { tenant, bytes, alarmBytes },
        'the dead letters are away from their quota again',
      );
    }
  }
}
