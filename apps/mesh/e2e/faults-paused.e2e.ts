import { describe, expect, it } from '@jest/globals';
import { eventually } from '@eventmesh/testing';
import { FaultMesh, type ServiceName, type SiteName } from './faults/fault-mesh.ts';
import { RECOVERY_MS, type Judge } from './faults/judge.ts';
import type { Load } from './faults/load.ts';
import { underLoad } from './faults/under-load.ts';

const TEST_MS = 120_000;
/** A call that is not answered ends by then: its own deadline of 10 s, and the time to say so. */
const ANSWER_MS = 12_000;
/** Events flow again so long after the network of an emesher is back. */
const HEALED_MS = 10_000;
const SITES: readonly SiteName[] = ['west', 'east'];
/** Of a link, in bytes; a load fills it in no time when the link is slow. */
const WINDOW_BYTES = 64 * 1024;
const SMALL_WINDOW = { dataPlane: { link: { windowBytes: `${WINDOW_BYTES}B` } } };

/** 1 Mbit/s, in bytes. */
const MEGABIT_BYTES = 125_000;
/** What a read of the store brings at once, and a link takes as a whole, is less. */
const BATCH_BYTES = 128 * 1024;
/** A frame of a link is no larger, but for its last event. */
const FRAME_BYTES = 256 * 1024;
/** A link is dialled this often beside once a second: when it breaks, and soon after that. */
const ATTEMPTS_AT_ONCE = 2;

let mesh: FaultMesh;
let load: Load;
let judge: Judge;
const event = { id: '1', source: '/paused', type: 't' };

underLoad(
  'faults-paused',
  (dir) => FaultMesh.start(dir, SMALL_WINDOW),
  (parts) => ({ mesh, load, judge } = parts),
  (paused) => {
    for (const site of SITES) {
      for (const service of ['store-gateway', 'acl', 'registry', 'governance'] as const) {
        paused.service(site, service).signal('SIGCONT');
      }
    }
  },
);

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
      // A lease that ran out meanwhile costs nothing: nobody else could own what hung on it.
      await mesh.leasesConfirmed(RECOVERY_MS);
      await judge.recovers();
    },
    TEST_MS,
  );

  it.each([
    [['west'], 'store-gateway'],
    [['east'], 'store-gateway'],
    [SITES, 'acl'],
    [SITES, 'registry'],
  ] as const)(
    'lose and repeat nothing when the way from the emesher of %j to its %s swallows everything',
    async (sites, service) => {
      await load.accepts(50, RECOVERY_MS);
      const [first = 'west'] = sites;
      const upstream = mesh.upstream(first, service);
      const { swallowed } = upstream;
      for (const site of sites) mesh.upstream(site, service).swallow();
      // What acl knows nobody asks it again.
      const client = mesh.client('west', 'publisher', service === 'acl' ? 'guessed' : undefined);
      const publish = ending(client.publish('paused/cut', { ...event, id: `cut ${service}` }));
      await eventually(() => expect(upstream.swallowed).toBeGreaterThan(swallowed), {
        timeoutMs: RECOVERY_MS,
      });
      if (service !== 'store-gateway') await load.flows(RECOVERY_MS);
      else if (first === 'east') await load.accepts(300, RECOVERY_MS);
      // Nothing is acknowledged that the store has not said to have.
      else expect(['DeadlineExceeded', 'Unavailable']).toContain((await publish).code);
      for (const site of sites) mesh.upstream(site, service).heal();
      await publish.finally(() => client.close());
      await judge.recovers({ recoveryMs: HEALED_MS });
    },
    TEST_MS,
  );

  it(
    'bring everything over a slow link, and hold no more than the window on the way',
    async () => {
      const link = mesh.links.get('west');
      const { acked, delivered } = load;
      const isThrough = () => load.delivered - delivered >= load.acked - acked;
      const look = (name: string) => mesh.metric('west', 'emesher', `eventmesh_link_${name}`);
      link?.slowDown({ bytesPerSecond: MEGABIT_BYTES, delayMs: 50 });
      // Several times what the window holds; the rest waits in the log.
      await load.accepts(600, RECOVERY_MS);
      expect(isThrough()).toBe(false);
      await load.pause(RECOVERY_MS);
      const most = { unaccepted: 0, gathered: 0, waiting: 0 };
      await eventually(
        async () => {
          most.unaccepted = Math.max(most.unaccepted, await look('unaccepted_bytes'));
          most.gathered = Math.max(most.gathered, await look('gathered_bytes'));
          most.waiting = Math.max(most.waiting, await look('messages_waiting'));
          expect(isThrough()).toBe(true);
        },
        { timeoutMs: 60_000 },
      );
      expect(most.unaccepted).toBeGreaterThan(0);
      expect(most.unaccepted).toBeLessThanOrEqual(WINDOW_BYTES + FRAME_BYTES);
      expect(most.gathered).toBeLessThanOrEqual(WINDOW_BYTES + BATCH_BYTES);
      expect(most.waiting).toBeLessThan(64);
      link?.heal();
      load.resume();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'deliver each event once though the link goes down again and again',
    async () => {
      const link = mesh.links.get('west');
      const from = performance.now();
      for (let n = 0; n < 8; n++) {
        link?.cut();
        await load.accepts(20, RECOVERY_MS);
        link?.heal();
        if (n % 2 === 1) link?.stallOneWay(n % 4 === 1 ? 'to-target' : 'to-client');
        await load.accepts(20, RECOVERY_MS);
      }
      link?.heal();
      const seconds = (performance.now() - from) / 1000;
      const attempts = link?.attemptsMs.filter((atMs) => atMs >= from).length ?? 0;
      expect(attempts).toBeLessThanOrEqual(seconds + ATTEMPTS_AT_ONCE);
      await judge.recovers();
    },
    TEST_MS,
  );
});
