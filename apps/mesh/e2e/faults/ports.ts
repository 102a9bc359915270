import { randomInt } from 'node:crypto';
import { freePort } from '../../src/dev/plan.ts';

const used = new Set<number>();

/**
 * A free port that stays free while its owner is down: below the range from which the system takes
 * the ports of outgoing connections.
 */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const wanted = randomInt(12_000, 32_000);
    if (used.has(wanted) || (await freePort(wanted, used)) !== wanted) continue;
    used.add(wanted);
    return wanted;
  }
}
