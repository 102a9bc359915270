import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tempDir } from '@eventmesh/testing';
import { FaultMesh, type ServiceName, type SiteName } from './faults/fault-mesh.ts';
import { Judge, RECOVERY_MS, REPEATS_OF_A_DEAD_OWNER } from './faults/judge.ts';
import { Load } from './faults/load.ts';

const TEST_MS = 120_000;
/** A call that is not answered ends by then: its own deadline of 10 s, and the time to say so. */
const ANSWER_MS = 12_000;
const SITES: readonly SiteName[] = ['west', 'east'];

const dir = tempDir('faults-paused');
let mesh: FaultMesh;
let load: Load;
let judge: Judge;
const event = { id: '1', source: '/paused', type: 't' };

beforeAll(async () => {
  mesh = await FaultMesh.start(dir.path);
  load = new Load({
    publisher: () => mesh.client('west', 'publisher'),
    subscriber: () => mesh.client('east', 'subscriber'),
  });
  judge = new Judge(load, mesh.admin('east'));
  await load.start();
  await load.flows(RECOVERY_MS);
}, 120_000);

afterAll(async () => {
  for (const site of SITES) {
    for (const service of ['store-gateway', 'acl', 'registry', 'governance'] as const) {
      mesh?.service(site, service).signal('SIGCONT');
    }
  }
  await load?.stop();
  await mesh?.stop();
  dir.remove();
}, 60_000);

/** A process that hangs is worse than one that is gone: nobody is told. */
async function whilePaused(
  sites: readonly SiteName[],
  service: ServiceName,
  work: () => Promise<void>,
): Promise<void> {
  for (const site of sites) mesh.service(site, service).signal('SIGSTOP');
  try {
    await work();
  } finally {
    for (const site of sites) mesh.service(site, service).signal('SIGCONT');
  }
}

/** How a call ends, and after how long. */
async function ending(call: Promise<unknown>): Promise<{ code: string; afterMs: number }> {
  const from = performance.now();
  const code = await call.then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error),
  );
  return { code, afterMs: performance.now() - from };
}

describe('two sites of ten processes under load', () => {
  it.each(SITES)(
    'acknowledge nothing, and lose nothing, while the store-gateway of %s hangs',
    async (site) => {
      await load.accepts(50, RECOVERY_MS);
      const client = mesh.client(site, 'publisher');
      await client.publish('paused/store', { ...event, id: `before-${site}` });
      await whilePaused([site], 'store-gateway', async () => {
        const call = client.publish('paused/store', { ...event, id: `meanwhile-${site}` });
        const { code, afterMs } = await ending(call);
        expect(['DeadlineExceeded', 'Unavailable']).toContain(code);
        expect(afterMs).toBeLessThan(ANSWER_MS);
      });
      client.close();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'serve known callers and refuse unknown ones while acl hangs',
    async () => {
      const known = mesh.client('west', 'publisher');
      const unknown = mesh.client('west', 'publisher', 'guessed');
      await known.publish('paused/acl', { ...event, id: 'before' });
      await whilePaused(SITES, 'acl', async () => {
        await load.flows(RECOVERY_MS);
        const served = await ending(known.publish('paused/acl', { ...event, id: 'known' }));
        expect(served.code).toBe('ok');
        const refused = await ending(unknown.publish('paused/acl', { ...event, id: 'unknown' }));
        expect(['DeadlineExceeded', 'Unavailable']).toContain(refused.code);
        expect(refused.afterMs).toBeLessThan(ANSWER_MS);
      });
      for (const client of [known, unknown]) client.close();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'go on while the registries and governance hang, and are refused new subscriptions in time',
    async () => {
      const client = mesh.client('east', 'subscriber');
      const subscription = { name: 'paused', topicFilters: ['paused/#'] };
      await whilePaused(SITES, 'governance', () =>
        whilePaused(SITES, 'registry', async () => {
          await load.flows(RECOVERY_MS);
          const made = await ending(client.subscriptions.createSubscription({ subscription }));
          expect(['DeadlineExceeded', 'Unavailable']).toContain(made.code);
          expect(made.afterMs).toBeLessThan(ANSWER_MS);
        }),
      );
      client.close();
      // A lease that ran out meanwhile is taken anew, and what a consumer held then comes again.
      await mesh.leasesConfirmed(RECOVERY_MS);
      await judge.recovers({ repeatsMax: REPEATS_OF_A_DEAD_OWNER });
    },
    TEST_MS,
  );

  it(
    'deliver each event once though the link goes down again and again',
    async () => {
      const link = mesh.links.get('west');
      for (let n = 0; n < 8; n++) {
        link?.cut();
        await load.accepts(20, RECOVERY_MS);
        link?.heal();
        if (n % 2 === 1) link?.stallOneWay(n % 4 === 1 ? 'to-target' : 'to-client');
        await load.accepts(20, RECOVERY_MS);
      }
      link?.heal();
      await judge.recovers();
    },
    TEST_MS,
  );
});
