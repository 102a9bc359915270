import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, tempDir } from '@eventmesh/testing';
import { TwoSites, type SiteName } from './two-sites.ts';

const TEST_MS = 90_000;
const ARRIVES_MS = 30_000;

const dir = tempDir('restored-site');
let sites: TwoSites;
/** Ids of what a subscription at east was given, with how often. */
const given = new Map<string, number>();

beforeAll(async () => {
  sites = await TwoSites.start(dir.path);
}, 60_000);

afterAll(async () => {
  await sites?.stop();
  dir.remove();
});

const backupOf = (site: SiteName): string => join(dir.path, `${site}-backup`);

const copy = (from: string, to: string): void => {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true });
};

/** Keeps a copy of all that a site has on disk, as it is while the site is down. */
const backUp = (site: SiteName): Promise<void> =>
  sites.crash(site, () => copy(join(dir.path, site), backupOf(site)));

const restore = (site: SiteName): Promise<void> =>
  sites.crash(site, () => copy(backupOf(site), join(dir.path, site)));

async function publish(prefix: string): Promise<string[]> {
  const client = sites.client('west', 'publisher');
  const ids = Array.from({ length: 50 }, (_, n) => `${prefix}-${n}`);
  for (const id of ids) await client.publish('restored/a', { id, source: '/spec', type: 't' });
  return ids;
}

/** A consumer at east that comes again whenever its stream ends. */
async function consume(): Promise<() => Promise<void>> {
  const stop = new AbortController();
  const name = 'restored';
  const spec = { name, topicFilters: ['restored/#'] };
  const client = sites.client('east', 'subscriber');
  await client.subscriptions.createSubscription({ subscription: spec, convergeMs: 5000n });
  const running = (async () => {
    while (!stop.signal.aborted) {
      try {
        for await (const delivery of client.subscribe({
          subscription: name,
          signal: stop.signal,
        })) {
          const { id } = delivery.event;
          given.set(id, (given.get(id) ?? 0) + 1);
          delivery.accept();
        }
      } catch {
        // The site is down, or is told of what it does not know yet.
        await delay(100);
      }
    }
  })();
  return () => {
    stop.abort();
    return running;
  };
}

const missing = (ids: readonly string[]): string[] => ids.filter((id) => !given.has(id));

const arrived = (ids: readonly string[]): Promise<void> =>
  eventually(() => expect(missing(ids)).toEqual([]), { timeoutMs: ARRIVES_MS });

describe('a site whose disk is brought back from an older copy', () => {
  it(
    'gets from its neighbour what it had accepted since, and what comes after',
    async () => {
      const end = await consume();
      await arrived(await publish('a'));
      await backUp('east');
      const lost = await publish('b');
      await arrived(lost);
      given.clear();
      await restore('east');
      await arrived(lost);
      await arrived(await publish('c'));
      await end();
    },
    TEST_MS,
  );

  it(
    'has its own new events delivered at the other site all the same',
    async () => {
      const end = await consume();
      const kept = await publish('d');
      await arrived(kept);
      await backUp('west');
      const lost = await publish('e');
      await arrived(lost);
      await restore('west');
      const fresh = await publish('f');
      await arrived(fresh);
      expect(await sites.metric('west', 'eventmesh_link_restored_total')).toBeGreaterThan(0);
      const times = [...kept, ...lost, ...fresh].map((id) => given.get(id));
      expect(new Set(times)).toEqual(new Set([1]));
      await end();
    },
    TEST_MS,
  );
});
