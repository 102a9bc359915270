import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DeadLetterService } from '@eventmesh/proto-gen/deadletter';
import { GovernanceService } from '@eventmesh/proto-gen/governance';
import { ScheduledEventService } from '@eventmesh/proto-gen/publisher';
import { createClient, type Transport } from '@eventmesh/rpc';
import type { PublishOptions } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { Gatherer } from './faults/gatherer.ts';
import { SiteMesh } from './faults/site-mesh.ts';

const TEST_MS = 90_000;
/** Until a site is itself again: leases run out, streams and stores are opened anew. */
const RECOVERY_MS = 40_000;
const HOUR_MS = 3_600_000;

const dir = tempDir('jetstream-timers');
const transports: Transport[] = [];
let mesh: SiteMesh;
let gatherer: Gatherer;

beforeAll(async () => {
  mesh = await SiteMesh.start(
    dir.path,
    { west: 1 },
    // A late event is one of a second, so that a restart makes some.
    { jetstream: true, emesher: { dataPlane: { timers: { lateTolerance: '1s' } } } },
  );
  const all = { name: 'all', topicFilters: ['#'], start: { kind: 'earliest' } } as const;
  gatherer = new Gatherer(mesh.client(west(), 'subscriber'), all);
}, 120_000);

afterAll(async () => {
  for (const transport of transports) transport.close();
  await mesh?.stop();
  await gatherer?.stop();
  dir.remove();
}, 60_000);

const west = () => mesh.emesher(0);
const ids = (prefix: string) => gatherer.ids(prefix);
const pending = () => mesh.metric(west(), 'eventmesh_timers_pending');
const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`);
const passed = (timeMs: number) =>
  eventually(() => expect(Date.now()).toBeGreaterThan(timeMs), { timeoutMs: RECOVERY_MS });
const recovers = (attempt: () => unknown) => eventually(attempt, { timeoutMs: RECOVERY_MS });

type Later = PublishOptions & { readonly id: string };

async function publish(...events: Later[]): Promise<void> {
  const client = mesh.client(west(), 'publisher');
  const stream = client.publisher();
  const outcomes = await stream.publishMany(
    events.map(({ id, ...options }) => ({
      topic: 'later/x',
      event: { id, source: '/later', type: 'test' },
      ...options,
    })),
  );
  expect(outcomes.filter((outcome) => !('deliverAtMs' in outcome))).toEqual([]);
  await stream.close();
  client.close();
}

function administer<T>(open: (transport: Transport) => T, service: 'governance' | 'emesher'): T {
  const transport = mesh.transport(service);
  transports.push(transport);
  return open(transport);
}

describe('the timers of a site on JetStream', () => {
  it(
    'fire once each, though the emesher and then the nats-server are killed while they come due',
    async () => {
      const wave = (prefix: string) => {
        const one = (id: string, n: number) => ({ id, deliverAfterMs: 500 + 15 * n });
        return publish(...numbered(prefix, 200).map(one));
      };
      await wave('emesher');
      await eventually(() => expect(ids('emesher-').length).toBeGreaterThan(10));
      await west().process.kill();
      await west().process.start();
      await recovers(() => expect(ids('emesher-')).toHaveLength(200));
      await wave('nats');
      await eventually(() => expect(ids('nats-').length).toBeGreaterThan(10));
      await mesh.nats().kill();
      await mesh.nats().restart();
      await recovers(() => expect(ids('nats-')).toHaveLength(200));
      // The order of their times is that of the store.
      const first = numbered('emesher', 200);
      expect([ids('emesher-'), ids('nats-')]).toEqual([first, numbered('nats', 200)]);
      await eventually(async () => expect(await pending()).toBe(0));
    },
    TEST_MS,
  );

  it(
    'go by their late policies after everything was down',
    async () => {
      const deliverAt = Date.now() + 2500;
      const policies = ['fire', 'skip', 'dead-letter'] as const;
      await publish(
        ...policies.map((latePolicy) => ({ id: `late-${latePolicy}`, deliverAt, latePolicy })),
        { id: 'waits', deliverAfterMs: HOUR_MS, latePolicy: 'skip' },
      );
      await Promise.all([west().process.kill(), mesh.nats().kill()]);
      // More than the tolerance.
      await passed(deliverAt + 1100);
      await mesh.nats().restart();
      await west().process.start();
      await recovers(() => expect(ids('late-')).toEqual(['late-fire']));
      const letters = administer(
        (transport) => createClient(DeadLetterService, transport),
        'emesher',
      );
      const { groups } = await letters.groups({});
      expect(groups).toMatchObject([{ subscription: '', cause: 'late', count: 1n }]);
      const outcomes = await Promise.all(
        ['fire-late', 'skip', 'dead-letter'].map((outcome) =>
          mesh.metric(west(), 'eventmesh_timers_total', { outcome }),
        ),
      );
      expect(outcomes).toEqual([1, 1, 1]);
      const scheduled = administer(
        (transport) => createClient(ScheduledEventService, transport),
        'emesher',
      );
      const { events } = await scheduled.listScheduledEvents({});
      expect(events.map(({ id }) => id)).toEqual(['waits']);
      expect(await scheduled.cancelScheduledEvent({ id: 'waits' })).toMatchObject({
        cancelled: 1n,
      });
      await eventually(async () => expect(await pending()).toBe(0));
      // What was taken back, skipped or given up can be scheduled again.
      const again = ['waits', 'late-skip', 'late-dead-letter'];
      await publish(...again.map((id) => ({ id, deliverAfterMs: 500 })));
      await recovers(() => {
        expect(ids('waits')).toEqual(['waits']);
        expect(ids('late-').toSorted()).toEqual(['late-dead-letter', 'late-fire', 'late-skip']);
      });
    },
    TEST_MS,
  );

  it(
    'are held while acl is away and cannot say who may publish, and fire when it is back',
    async () => {
      await publish(...numbered('held', 5).map((id) => ({ id, deliverAfterMs: 4000 })));
      // Whoever the emesher knows may go on for a while: a new one knows nobody.
      await Promise.all([mesh.service('acl').kill(), west().process.kill()]);
      await west().process.start();
      await recovers(() =>
        expect(west().process.words).toContain('acl is away; due events are held'),
      );
      await eventually(async () => expect(await pending()).toBe(5));
      expect(ids('held-')).toEqual([]);
      await mesh.service('acl').start();
      await recovers(() => expect(ids('held-').toSorted()).toEqual(numbered('held', 5)));
      await eventually(async () => expect(await pending()).toBe(0));
    },
    TEST_MS,
  );
});

describe('a schedule of a site on JetStream', () => {
  it(
    'publishes each occurrence once, though the nats-server is killed',
    async () => {
      const governance = administer(
        (transport) => createClient(GovernanceService, transport),
        'governance',
      );
      const seconds = () => ids('tick/').map((id) => Date.parse(id.slice('tick/'.length)) / 1000);
      const event = { type: 'tick' };
      const schedule = { name: 'tick', cron: '* * * * * *', topic: 'ticks', event };
      // Whoever was cut off from acl before tries it again within seconds.
      await recovers(() => governance.putSchedule({ schedule }));
      await recovers(() => expect(seconds().length).toBeGreaterThanOrEqual(2));
      await mesh.nats().kill();
      const back = seconds().length;
      await mesh.nats().restart();
      await recovers(() => expect(seconds().length).toBeGreaterThan(back + 2));
      await governance.pauseSchedule({ tenant: 'default', name: 'tick', paused: true });
      const got = seconds();
      expect(got).toEqual(got.map((_, n) => (got[0] ?? 0) + n));
    },
    TEST_MS,
  );
});
