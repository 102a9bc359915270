import { expect } from '@jest/globals';
import { eventually } from '@eventmesh/testing';

/** Members of a site whose leases etcd keeps; asked of etcd, as the registry may be away. */
async function members(etcdUrl: string, site: string): Promise<number> {
  const below = `eventmesh/${site}/registry/${site}/state/members/`;
  // "0" is what comes after "/".
  const end = `${below.slice(0, -1)}0`;
  const body = JSON.stringify({ key: base64(below), range_end: base64(end), count_only: true });
  const answer = await fetch(`${etcdUrl}/v3/kv/range`, { method: 'POST', body });
  expect(answer.status).toBe(200);
  // Absent when it is 0, as in every JSON of a proto.
  const { count = '0' } = (await answer.json()) as { count?: string };
  return Number(count);
}

/** Takes the registry away, and waits until the lease of each member of the site has ended in etcd. */
export async function beyondLeases(
  etcdUrl: string,
  site: string,
  takeAway: () => Promise<unknown>,
  timeoutMs: number,
): Promise<void> {
  expect(await members(etcdUrl, site)).toBeGreaterThan(0);
  await takeAway();
  await eventually(async () => expect(await members(etcdUrl, site)).toBe(0), { timeoutMs });
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
