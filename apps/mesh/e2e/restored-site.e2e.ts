import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding, LostRange } from '@eventmesh/adapter-api';
import type { Gap } from '@eventmesh/proto-gen/subscriber';
import type { MeshClient } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { FaultMesh } from './faults/fault-mesh.ts';
import { TwoSites, type SiteName } from './two-sites.ts';

const TEST_MS = 90_000;
const ARRIVES_MS = 30_000;

/** Two sites whose disks can be copied and brought back. */
interface Restorable {
  client(site: SiteName, user: 'publisher' | 'subscriber'): MeshClient;
  metric(site: SiteName, name: string): Promise<number>;
  /** Answers as the administrator of the site gets them. */
  get<T>(site: SiteName, path: string): Promise<T>;
  /** Ends whatever has the disk open, does something to it, and starts all again. */
  whileDown(site: SiteName, does: () => void): Promise<void>;
  /** Where a site has its events. */
  folder(site: SiteName): string;
  stop(): Promise<void>;
}

async function embedded(dir: string): Promise<Restorable> {
  const sites = await TwoSites.start(dir);
  return {
    client: (site, user) => sites.client(site, user),
    metric: (site, name) => sites.metric(site, name),
    get: async <T>(site: SiteName, path: string) =>
      (await (await sites.http(site, 'admin', path)).json()) as T,
    whileDown: (site, does) => sites.crash(site, does),
    folder: (site) => join(dir, site),
    stop: () => sites.stop(),
  };
}

async function jetstream(dir: string): Promise<Restorable> {
  const mesh = await FaultMesh.start(dir);
  const open: MeshClient[] = [];
  return {
    client(site, user) {
      const client = mesh.client(site, user);
      open.push(client);
      return client;
    },
    metric: (site, name) => mesh.metric(site, 'emesher', name),
    get: (site, path) => mesh.admin(site).get(path),
    async whileDown(site, does) {
      for (const service of ['emesher', 'store-gateway'] as const) {
        await mesh.service(site, service).kill();
      }
      await mesh.nats.get(site)?.kill();
      does();
      await mesh.nats.get(site)?.restart();
      await mesh.startServices();
    },
    folder: (site) => join(dir, site, 'nats'),
    async stop() {
      for (const client of open) client.close();
      await mesh.stop();
    },
  };
}

/** Comes again whenever its stream ends, and counts what it is given. */
class Consumer {
  /** Ids with how often they came. */
  readonly given = new Map<string, number>();
  readonly gaps: Gap[] = [];
  readonly #ends: (() => Promise<void>)[] = [];

  /** Ends whatever consumes still. */
  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }

  missing(ids: readonly string[]): string[] {
    return ids.filter((id) => !this.given.has(id));
  }

  /** Answers how to end it. */
  async consume(client: MeshClient, name: string): Promise<() => Promise<void>> {
    const stop = new AbortController();
    const spec = { name, topicFilters: ['restored/#'] };
    await client.subscriptions.createSubscription({ subscription: spec, convergeMs: 5000n });
    const running = (async () => {
      while (!stop.signal.aborted) {
        try {
          const onGap = (gap: Gap) => this.gaps.push(gap);
          const { signal } = stop;
          for await (const delivery of client.subscribe({ subscription: name, signal, onGap })) {
            const { id } = delivery.event;
            this.given.set(id, (this.given.get(id) ?? 0) + 1);
            delivery.accept();
          }
        } catch {
          // The site is down, or is told of what it does not know yet.
          await delay(100);
        }
      }
    })();
    const end = () => {
      stop.abort();
      return running;
    };
    this.#ends.push(end);
    return end;
  }
}

describe.each([
  ['embedded', embedded],
  ['JetStream', jetstream],
])('a site on a store that is %s, whose disk is brought back from an older copy', (_, start) => {
  const dir = tempDir('restored-site');
  let sites: Restorable;
  let consumer: Consumer;
  const local = new Consumer();

  beforeAll(async () => {
    sites = await start(dir.path);
    consumer = new Consumer();
  }, 120_000);

  afterAll(async () => {
    await Promise.all([consumer?.end(), local.end()]);
    await sites?.stop();
    dir.remove();
  }, 60_000);

  const copy = (from: string, to: string): void => {
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true });
  };
  const backupOf = (site: SiteName): string => join(dir.path, `${site}-backup`);
  /** Keeps a copy of all that a site has on disk, as it is while the site is down. */
  const backUp = (site: SiteName) =>
    sites.whileDown(site, () => copy(sites.folder(site), backupOf(site)));
  const restore = (site: SiteName) =>
    sites.whileDown(site, () => copy(backupOf(site), sites.folder(site)));

  async function publish(prefix: string): Promise<string[]> {
    const client = sites.client('west', 'publisher');
    const ids = Array.from({ length: 50 }, (_each, n) => `${prefix}-${n}`);
    for (const id of ids) await client.publish('restored/a', { id, source: '/spec', type: 't' });
    return ids;
  }

  const arrived = (ids: readonly string[]): Promise<void> =>
    eventually(() => expect(consumer.missing(ids)).toEqual([]), { timeoutMs: ARRIVES_MS });

  it(
    'gets from its neighbour what it had accepted since, and what comes after',
    async () => {
      const end = await consumer.consume(sites.client('east', 'subscriber'), 'restored');
      await arrived(await publish('a'));
      await backUp('east');
      const lost = await publish('b');
      await arrived(lost);
      consumer.given.clear();
      await restore('east');
      await arrived(lost);
      await arrived(await publish('c'));
      await end();
    },
    TEST_MS,
  );

  it(
    'has its own new events delivered at the other site all the same, and says what it has lost',
    async () => {
      const endLocal = await local.consume(sites.client('west', 'subscriber'), 'local');
      const end = await consumer.consume(sites.client('east', 'subscriber'), 'restored');
      const kept = await publish('d');
      await arrived(kept);
      await backUp('west');
      const lost = await publish('e');
      await arrived(lost);
      await restore('west');
      const fresh = await publish('f');
      await arrived(fresh);
      expect(await sites.metric('west', 'eventmesh_link_restored_total')).toBeGreaterThan(0);
      const times = [...kept, ...lost, ...fresh].map((id) => consumer.given.get(id));
      expect(new Set(times)).toEqual(new Set([1]));
      await end();

      const told = await sites.get<{ lost: LostRange[] }>('west', '/v1/sites');
      const sum = told.lost.reduce((all, { from, to }) => all + to - from + 1, 0);
      expect(sum).toBeGreaterThanOrEqual(lost.length);
      expect(new Set(told.lost.map(({ site }) => site))).toEqual(new Set(['east']));
      expect((await sites.get<{ lost: unknown }>('east', '/v1/sites')).lost).toEqual([]);
      const { findings } = await sites.get<{ findings: LedgerFinding[] }>(
        'west',
        '/v1/ledger/check',
      );
      const restored = findings.filter(({ check }) => check === 'restored');
      expect(restored.map(({ expected, counted }) => [counted + 1, expected])).toEqual(
        told.lost.map(({ from, to }) => [from, to]),
      );
      // Whoever consumes there is told where the rest is.
      await eventually(() => {
        const gaps = local.gaps.map(({ fromPosition, toPosition }) => [fromPosition, toPosition]);
        expect(gaps).toEqual(
          expect.arrayContaining(told.lost.map(({ from, to }) => [BigInt(from), BigInt(to)])),
        );
        expect(local.gaps.at(-1)?.reason).toContain('site "east" had taken');
      });
      await endLocal();
    },
    TEST_MS,
  );
});
