import { describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import { eventually } from '@eventmesh/testing';
import { FaultMesh, type ServiceName, type SiteName } from './faults/fault-mesh.ts';
import { RECOVERY_MS, REPEATS_OF_A_DEAD_OWNER, type Judge } from './faults/judge.ts';
import { LimitedUser } from './faults/limited-user.ts';
import { CREDIT, SUBSCRIPTION, type Load } from './faults/load.ts';
import { underLoad } from './faults/under-load.ts';

const TEST_MS = 90_000;

let mesh: FaultMesh;
let load: Load;
let judge: Judge;

underLoad('faults', FaultMesh.start, (parts) => ({ mesh, load, judge } = parts));

async function killAndRestart(site: SiteName, service: ServiceName): Promise<void> {
  const process = mesh.service(site, service);
  await load.accepts(50, RECOVERY_MS);
  await process.kill();
  await process.start();
}

async function epochOf(): Promise<number> {
  const path = `/v1/subscriptions/${SUBSCRIPTION}`;
  const { status } = await mesh.admin('east').get<{ status: SubscriptionStatus }>(path);
  return status.epoch;
}

describe('two sites of ten processes under load', () => {
  it('without a fault loses, repeats and reorders nothing', () => judge.recovers(), TEST_MS);

  it.each(['west', 'east'] as const)(
    'lose nothing when the emesher of %s is killed',
    async (site) => {
      await killAndRestart(site, 'emesher');
      await judge.recovers({ repeatsMax: site === 'east' ? REPEATS_OF_A_DEAD_OWNER : 0 });
    },
    TEST_MS,
  );

  it.each(['west', 'east'] as const)(
    'lose and repeat nothing when the store-gateway of %s is killed',
    async (site) => {
      await killAndRestart(site, 'store-gateway');
      await judge.recovers();
    },
    TEST_MS,
  );

  it.each(['west', 'east'] as const)(
    'lose and repeat nothing when the nats-server of %s is killed',
    async (site) => {
      await load.accepts(50, RECOVERY_MS);
      const nats = mesh.nats.get(site);
      await nats?.kill();
      await nats?.restart();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'go on while the registries are down, and refuse new subscriptions until they are back',
    async () => {
      const registries = [mesh.service('west', 'registry'), mesh.service('east', 'registry')];
      await Promise.all(registries.map((registry) => registry.kill()));
      await load.flows(RECOVERY_MS);
      const client = mesh.client('east', 'subscriber');
      const subscription = { name: 'later', topicFilters: ['later/#'] };
      try {
        await expect(
          client.subscriptions.createSubscription({ subscription }),
        ).rejects.toMatchObject({ code: 'Unavailable' });
        await Promise.all(registries.map((registry) => registry.start()));
        await eventually(() => client.subscriptions.createSubscription({ subscription }), {
          timeoutMs: RECOVERY_MS,
        });
      } finally {
        client.close();
      }
      // Away for longer than a lease or not: its owner keeps what nobody else took.
      await mesh.leasesConfirmed(RECOVERY_MS);
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'lose and repeat nothing when the registries are down for longer than the leases of the emeshers',
    async () => {
      const epoch = await epochOf();
      await mesh.killRegistriesBeyondLeases(RECOVERY_MS);
      await load.flows(RECOVERY_MS);
      const sites = ['west', 'east'] as const;
      await Promise.all(sites.map((site) => mesh.service(site, 'registry').start()));
      const resumed = () =>
        mesh.metric('east', 'registry', 'eventmesh_registry_ownership_total', {
          outcome: 'resumed',
        });
      await eventually(async () => expect(await resumed()).toBeGreaterThan(0), {
        timeoutMs: RECOVERY_MS,
      });
      await mesh.leasesConfirmed(RECOVERY_MS);
      await judge.recovers();
      expect(await epochOf()).toBe(epoch);
    },
    TEST_MS,
  );

  it(
    'serve known callers and refuse unknown ones while acl is down',
    async () => {
      const services = [mesh.service('west', 'acl'), mesh.service('east', 'acl')];
      await Promise.all(services.map((acl) => acl.kill()));
      await load.flows(RECOVERY_MS);
      const event = { id: '1', source: '/x', type: 'x' };
      const known = mesh.client('west', 'publisher');
      // Right or wrong: what nobody can verify is refused.
      const unknown = [
        mesh.client('west', 'subscriber'),
        mesh.client('west', 'publisher', 'guessed'),
      ];
      try {
        expect(await known.publish('other/topic', event)).toMatchObject({ site: 'west' });
        for (const client of unknown) {
          await expect(client.publish('other/topic', event)).rejects.toMatchObject({
            code: 'Unavailable',
          });
        }
        await Promise.all(services.map((acl) => acl.start()));
        // The emesher's connection to it comes back in its own time.
        await eventually(
          async () => {
            await expect(unknown[1]?.publish('other/topic', event)).rejects.toMatchObject({
              code: 'Unauthenticated',
            });
          },
          { timeoutMs: RECOVERY_MS },
        );
      } finally {
        for (const client of [known, ...unknown]) client.close();
      }
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'go on while governance is down, with audit and quotas that are exact after',
    async () => {
      const services = [mesh.service('west', 'governance'), mesh.service('east', 'governance')];
      const limited = new LimitedUser(mesh);
      await limited.upTo(2);
      // Killed with entries of the audit on their way, whose outcome the emesher does not know.
      await limited.refused(20);
      await Promise.all(services.map((governance) => governance.kill()));
      await load.flows(RECOVERY_MS);
      await limited.refused(20);
      await limited.replacesOne();
      await limited.refused(20);
      await load.accepts(200, RECOVERY_MS);
      await Promise.all(services.map((governance) => governance.start()));
      await limited.isExact();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'go on while etcd is down, and follow changes again once it is back',
    async () => {
      await mesh.etcd.kill();
      await load.flows(RECOVERY_MS);
      await mesh.etcd.restart();
      const client = mesh.client('east', 'subscriber');
      const subscription = { name: 'after-etcd', topicFilters: ['later/#'] };
      await eventually(() => client.subscriptions.createSubscription({ subscription }), {
        timeoutMs: RECOVERY_MS,
      }).finally(() => client.close());
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'hold what is for the other site while the link is cut, and deliver it once after',
    async () => {
      const link = mesh.links.get('west');
      link?.cut();
      const before = load.delivered;
      await load.accepts(500, RECOVERY_MS);
      expect(load.delivered - before).toBeLessThan(500);
      link?.heal();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'hold what is for the other site while the link swallows what is sent',
    async () => {
      const link = mesh.links.get('west');
      link?.stallOneWay('to-target');
      await load.accepts(300, RECOVERY_MS);
      link?.heal();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'store once what the link carried twice because its accepts were swallowed',
    async () => {
      const link = mesh.links.get('west');
      link?.stallOneWay('to-client');
      await load.flows(RECOVERY_MS);
      // What east has stored and west has not heard of is sent again over a new connection.
      link?.cut();
      link?.heal();
      await judge.recovers();
    },
    TEST_MS,
  );

  it(
    'acknowledge nothing that is lost when an emesher drains under load, and it exits 0 in time',
    async () => {
      for (const site of ['west', 'east'] as const) {
        const emesher = mesh.service(site, 'emesher');
        await load.accepts(50, RECOVERY_MS);
        const from = performance.now();
        expect(await emesher.end('SIGTERM')).toBe(0);
        expect(performance.now() - from).toBeLessThan(20_000);
        await emesher.start();
      }
      // A subscription that is given up in order repeats only what the consumer held.
      await judge.recovers({ repeatsMax: CREDIT });
    },
    TEST_MS,
  );

  it(
    'come back from disk when every process is killed at once',
    async () => {
      await load.accepts(50, RECOVERY_MS);
      await mesh.killAll();
      await mesh.restartAll();
      await judge.recovers({ repeatsMax: REPEATS_OF_A_DEAD_OWNER });
    },
    TEST_MS,
  );
});
