import { freePort } from '../../src/dev/plan.ts';

const used = new Set<number>();

/** A free port that no other test of this process has, and that stays free while its owner is down. */
export async function lastingPort(): Promise<number> {
  const port = await freePort(0, used);
  used.add(port);
  return port;
}
