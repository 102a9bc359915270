import { expect } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import { eventually } from '@eventmesh/testing';
import { DEFECTS, reportText } from '@eventmesh/tools-checker';
import type { HttpClient } from '../../src/cli/http-client.ts';
import { CREDIT, SUBSCRIPTION, type Load } from './load.ts';

/** From the end of a fault until an event sent after it has arrived at the other site. */
export const RECOVERY_MS = 20_000;
const SETTLE_MS = 30_000;

/**
 * What may be delivered twice after the owner of the subscription has died: what the consumer held,
 * and what it settled since the last write of the cursor (every 100 ms, and one write under way).
 */
export const REPEATS_OF_A_DEAD_OWNER = CREDIT + 512;

export interface Bounds {
  /** Most unexplained repeats since the last judgement. Default 0. */
  readonly repeatsMax?: number;
  /** Default RECOVERY_MS. */
  readonly recoveryMs?: number;
}

/** Judges a load after each fault; the load goes on when its books are good. */
export class Judge {
  readonly #load: Load;
  /** The management surface of the consumer's site. */
  readonly #admin: HttpClient;
  #repeats = 0;

  constructor(load: Load, admin: HttpClient) {
    this.#load = load;
    this.#admin = admin;
  }

  /** Events flow again in time, and after that the books of the checker and of the mesh agree. */
  async recovers({ repeatsMax = 0, recoveryMs = RECOVERY_MS }: Bounds = {}): Promise<void> {
    const load = this.#load;
    try {
      await this.#judge(repeatsMax, recoveryMs);
    } finally {
      // The next fault is judged for itself.
      load.faults.length = 0;
      load.resume();
    }
  }

  async #judge(repeatsMax: number, recoveryMs: number): Promise<void> {
    const load = this.#load;
    await load.flows(recoveryMs);
    const report = await load.settle(SETTLE_MS);
    const defects = DEFECTS.filter((name) => name !== 'duplicated' && report[name].count > 0);
    expect([defects, defects.length > 0 ? reportText(report) : '']).toEqual([[], '']);
    const repeats = report.duplicated.count - this.#repeats;
    this.#repeats = report.duplicated.count;
    expect(repeats).toBeLessThanOrEqual(repeatsMax);
    const [books] = report.subscriptions;
    expect(books?.acked).toBeGreaterThan(0);
    expect((books?.delivered ?? 0) + (books?.accounted ?? 0)).toBe(books?.acked);
    expect(load.faults).toEqual([]);
    await this.#balances();
  }

  /** considered = delivered + filtered + expired + dead-lettered + dropped + held; none is held. */
  async #balances(): Promise<void> {
    await eventually(async () => {
      const path = `/v1/subscriptions/${SUBSCRIPTION}`;
      const { status } = await this.#admin.get<{ status: SubscriptionStatus }>(path);
      const { considered, delivered, filtered, expired, deadLettered, dropped, held } = status;
      expect(delivered + filtered + expired + deadLettered + dropped + held).toBe(considered);
      expect([held, expired, deadLettered, dropped]).toEqual([0, 0, 0, 0]);
    });
  }
}
