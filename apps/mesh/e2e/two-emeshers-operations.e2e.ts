import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding, Trace, WhyReport } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { AclAdminService, Action, Principal_Kind } from '@eventmesh/proto-gen/acl';
import { DeadLetterService } from '@eventmesh/proto-gen/deadletter';
import { PeerService } from '@eventmesh/proto-gen/peer';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { eventually, tempDir } from '@eventmesh/testing';
import { RECOVERY_MS } from './faults/judge.ts';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { Taker, type TakerOptions, type Wanted } from './faults/taker.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 90_000;
const TTL_MS = 3000;

interface Redriven {
  readonly redriven: number;
}

const workspace = new Workspace();
const dir = tempDir('two-emeshers-operations');
const takers: Taker[] = [];
let mesh: SiteMesh;

beforeAll(async () => {
  mesh = await SiteMesh.start(
    dir.path,
    { west: 2 },
    {
      emesher: {
        dataPlane: { lease: { ttl: `${TTL_MS}ms` }, timers: { lateTolerance: '1s' } },
      },
    },
  );
}, 120_000);
afterEach(async () => {
  await Promise.all(takers.splice(0).map((taker) => taker.leave()));
});
afterAll(async () => {
  await mesh?.stop();
  await workspace.remove();
  dir.remove();
}, 60_000);

const first = (): Emesher => mesh.emesher(0);
const second = (): Emesher => mesh.emesher(1);

/** Runs `mesh … -o json` as the administrator, at one of the emeshers. */
const cli = <T>(at: Emesher, ...args: string[]): Promise<T> =>
  workspace.json<T>(...args, ...mesh.flags(at));

async function take(at: Emesher, options: TakerOptions): Promise<Taker> {
  const taker = await Taker.attach(mesh.client(at, 'subscriber'), options);
  takers.push(taker);
  return taker;
}

interface Publishing {
  readonly direct?: boolean;
  readonly deliverAt?: number;
}

/** Publishes events with these ids, in order. Answers whether each was told that nobody wants it. */
async function publish(
  at: Emesher,
  topic: string,
  ids: readonly string[],
  { direct = false, deliverAt }: Publishing = {},
): Promise<boolean[]> {
  const client = mesh.client(at, 'publisher');
  const options = {
    ...(direct ? { deliveryClass: 'direct' as const } : {}),
    ...(deliverAt === undefined ? {} : { deliverAt, latePolicy: 'dead-letter' as const }),
  };
  const nobody: boolean[] = [];
  try {
    for (const id of ids) {
      const event = {
        id,
        source: '/operations',
        type: 'com.example.operations',
        data: 'as it was',
      };
      nobody.push((await client.publish(topic, event, options)).noInterest);
    }
    return nobody;
  } finally {
    client.close();
  }
}

/** The workbench of dead letters at an emesher, for the administrator. */
function letters(at: Emesher) {
  const { user, address } = credential(at);
  const authorization = `Basic ${Buffer.from(user).toString('base64')}`;
  const transport = grpcTransport({ address, metadata: () => ({ authorization }) });
  const { close } = transport;
  return { service: createClient(DeadLetterService, transport), close: close.bind(transport) };
}

function credential(at: Emesher) {
  const flags = mesh.flags(at);
  return { address: at.grpc, user: flags.at(flags.indexOf('--user') + 1) ?? '' };
}

const named = (name: string, more: Partial<Wanted> = {}): Wanted => ({
  name,
  topicFilters: [`${name}/#`],
  ...more,
});
const some = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const reject: NonNullable<TakerOptions['settle']> = (delivery) => delivery.reject('broken');

describe('an event that one emesher is asked about', () => {
  const why = (at: Emesher, id: string) => mesh.manage(at).get<WhyReport>(`/v1/why/${id}`);
  const trace = (at: Emesher, id: string) => mesh.manage(at).get<Trace>(`/v1/trace/${id}`);
  const both = () => [first(), second()];

  afterAll(async () => {
    const { service, close } = letters(first());
    await service.purge({ selection: { subscription: 'broken' } });
    close();
  });

  it(
    'is explained alike by either: what the other one has accepted, holds, has delivered and buried',
    async () => {
      const holder = await take(second(), {
        subscription: named('asked'),
        consumer: 'holder',
        credit: 2,
        settle: ({ event, accept }) => event.id === 'asked-1' && accept(),
      });
      await take(first(), {
        subscription: named('broken', { topicFilters: ['asked/#'] }),
        settle: reject,
      });
      await publish(second(), 'asked/x', ['asked-1', 'asked-2', 'asked-3', 'asked-4']);
      await eventually(() => expect(holder.ids).toEqual(['asked-1', 'asked-2', 'asked-3']));
      const states = (report: WhyReport) =>
        Object.fromEntries(report.answers.map(({ subject, state }) => [subject, state]));
      for (const at of both()) {
        await eventually(async () => {
          const broken = 'dead-lettered';
          const done = await why(at, 'asked-1');
          expect(states(done)).toMatchObject({ asked: 'delivered', broken });
          const out = await why(at, 'asked-2');
          expect(states(out)).toMatchObject({ asked: 'out', broken });
          expect(out.answers.find(({ subject }) => subject === 'asked')).toMatchObject({
            consumer: 'holder',
            attempts: 1,
          });
          expect(states(await why(at, 'asked-4'))).toMatchObject({ asked: 'ready', broken });
          expect([...done.silentEmeshers, ...done.searches]).toEqual([]);
          const { steps, silentEmeshers } = await trace(at, 'asked-1');
          expect(silentEmeshers).toEqual([]);
          expect(steps.map(({ step, subject }) => `${step} ${subject}`)).toEqual(
            expect.arrayContaining([
              'accepted asked/x',
              'delivered asked',
              'settled asked',
              'delivered broken',
              'dead-lettered broken',
            ]),
          );
        });
      }
      const [one, other] = await Promise.all(both().map((at) => trace(at, 'asked-1')));
      expect(one?.steps).toEqual(other?.steps);
    },
    TEST_MS,
  );

  it(
    'was refused by the other one: so say both',
    async () => {
      const client = mesh.client(second(), 'subscriber');
      const event = { id: 'refused-1', source: '/operations', type: 'test' };
      const refusal = client.publish('asked/x', event).catch((error: unknown) => error);
      expect(await refusal).toMatchObject({ code: 'PermissionDenied' });
      client.close();
      for (const at of both()) {
        const { answers } = await why(at, 'refused-1');
        expect(answers).toMatchObject([{ subject: 'publish', state: 'refused' }]);
      }
    },
    TEST_MS,
  );

  it(
    'is told of by an emesher on behalf of another only to whoever may see it',
    async () => {
      const authorization = `Bearer ${mesh.identity.serviceToken}`;
      const transport = grpcTransport({
        address: second().grpc,
        metadata: () => ({ authorization }),
      });
      const client = createClient(PeerService, transport);
      const rights = mesh.transport('acl');
      const acl = createClient(AclAdminService, rights);
      const ask = (name: string, resource: string) => {
        const principal = { tenant: 'default', kind: Principal_Kind.USER, name };
        const inspector = { who: { case: 'principal' as const, value: principal }, resource };
        return client.recallEvent({ inspector, eventId: 'refused-1' });
      };
      try {
        await acl.putUser({ user: { tenant: 'default', name: 'ada' }, password: 'long-enough' });
        const may = { subject: 'user:ada', action: Action.INSPECT, topicFilter: 'trace' };
        await acl.putPolicy({ policy: { tenant: 'default', ...may } });
        await eventually(async () => expect((await ask('ada', 'trace')).refusals).toHaveLength(1));
        const denied = { code: 'PermissionDenied', reason: 'NO_GRANT' };
        await expect(ask('ada', 'why')).rejects.toMatchObject(denied);
        await expect(client.recallEvent({ eventId: 'refused-1' })).rejects.toMatchObject({
          code: 'InvalidArgument',
        });
        expect((await ask('admin', 'why')).refusals).toMatchObject([{ eventId: 'refused-1' }]);
      } finally {
        transport.close();
        rights.close();
      }
    },
    TEST_MS,
  );

  it(
    'is in books that agree with the store, whichever emesher is asked, while both have a part in them',
    async () => {
      const credit = { consumer: 'holder', credit: 1 };
      await take(second(), { subscription: 'asked', ...credit, settle: () => undefined });
      await take(first(), { subscription: named('more'), ...credit, settle: () => undefined });
      await publish(first(), 'more/x', some(5));
      await publish(second(), 'more/x', some(3));
      for (const at of both()) {
        await eventually(async () => {
          const path = '/v1/ledger/check';
          const { findings } = await mesh.manage(at).get<{ findings: LedgerFinding[] }>(path);
          expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
          const found = (check: string) => findings.find((each) => each.check === check);
          expect(found('stored')?.counted).toBe(found('stored')?.expected);
          expect(found('stored')?.counted).toBeGreaterThanOrEqual(12);
          expect(found('dead-letters')).toMatchObject({ expected: 4, counted: 4 });
          const more = findings.find(
            ({ subscription, check }) => subscription === 'more' && check === 'progress',
          );
          expect(more?.counted).toBeGreaterThanOrEqual(8);
        });
      }
    },
    TEST_MS,
  );

  it(
    'is explained without the part of an emesher that hangs, and that is said',
    async () => {
      second().process.signal('SIGSTOP');
      try {
        const silentEmeshers = [
          {
            site: 'west',
            emesher: second().member,
            reason: expect.stringMatching(/^it did not answer: DeadlineExceeded/),
          },
        ];
        expect(await why(first(), 'asked-1')).toMatchObject({
          answers: expect.arrayContaining([expect.objectContaining({ subject: 'broken' })]),
          silentEmeshers,
        });
        expect(await trace(first(), 'refused-1')).toMatchObject({ steps: [], silentEmeshers });
      } finally {
        second().process.signal('SIGCONT');
      }
      await eventually(async () => {
        expect((await why(first(), 'asked-1')).silentEmeshers).toEqual([]);
      });
    },
    TEST_MS,
  );
});

describe('replay lanes', () => {
  it(
    'are listed and stopped at either emesher, wherever they run',
    async () => {
      const live = await take(first(), { subscription: named('replayed'), credit: 0 });
      await publish(first(), 'replayed/x', some(50));
      const client = mesh.client(second(), 'subscriber');
      try {
        const lane = client.subscribe({
          subscription: 'replayed',
          replay: { from: { kind: 'earliest' } },
          credit: 1,
        });
        const reading = (async () => {
          try {
            for await (const delivery of lane) expect(delivery.event.type).toContain('operations');
          } catch (error) {
            return MeshError.from(error);
          }
          return undefined;
        })();
        const { replayId } = await lane.opened;
        for (const at of [first(), second()]) {
          expect(await cli<object[]>(at, 'replay', 'list')).toEqual([
            expect.objectContaining({ id: replayId, subscription: 'replayed' }),
          ]);
        }
        const unknown = await workspace.run(
          'replay',
          'stop',
          'no-such-lane',
          ...mesh.flags(first()),
        );
        expect(unknown.err).toContain('there is no replay "no-such-lane"');
        expect((await workspace.run('replay', 'stop', replayId, ...mesh.flags(first()))).code).toBe(
          0,
        );
        expect(await reading).toMatchObject({ reason: 'REPLAY_STOPPED' });
        expect(await cli<object[]>(second(), 'replay', 'list')).toEqual([]);
        expect(live.ended).toBeUndefined();
      } finally {
        client.close();
      }
    },
    TEST_MS,
  );
});

describe('a receipt', () => {
  it(
    'says that nobody wants the event when only subscriptions of the other class do',
    async () => {
      await take(second(), { subscription: named('only-direct', { deliveryClass: 'direct' }) });
      await take(second(), { subscription: named('only-durable') });
      const told = async (topic: string, direct: boolean) =>
        (await publish(first(), topic, [`${topic}-${direct}-${performance.now()}`], { direct }))[0];
      await eventually(async () => expect(await told('only-direct/x', true)).toBe(false));
      await eventually(async () => expect(await told('only-durable/x', false)).toBe(false));
      expect(await told('only-direct/x', false)).toBe(true);
      expect(await told('only-durable/x', true)).toBe(true);
    },
    TEST_MS,
  );
});

describe('dead letters that one emesher is at', () => {
  /** Letters of a subscription, and a redrive at the first emesher that takes long. */
  async function slowRedrive(name: string, count: number) {
    const taker = await take(second(), { subscription: named(name), settle: reject });
    await publish(second(), `${name}/x`, some(count));
    await eventually(async () => {
      expect(await cli<object[]>(second(), 'dlq', 'list', '--subscription', name)).toHaveLength(
        count,
      );
    });
    await taker.leave();
    const { service, close } = letters(first());
    const slow = service
      .redrive({ selection: { subscription: name }, rateMax: 1 })
      .catch((error: unknown) => MeshError.from(error));
    const redriven = async () =>
      count - (await cli<object[]>(second(), 'dlq', 'list', '--subscription', name)).length;
    await eventually(async () => expect(await redriven()).toBeGreaterThan(0));
    return { slow, close };
  }

  it(
    'are changed by calls to the other one, too',
    async () => {
      const { slow, close } = await slowRedrive('both', 30);
      const purge = ['dlq', 'purge', '--subscription', 'both'];
      const { purged } = await cli<{ purged: number }>(second(), ...purge);
      expect(purged).toBeGreaterThan(0);
      const answer = await slow;
      if (answer instanceof MeshError) throw answer;
      expect(Number(answer.redriven) + purged).toBe(30);
      expect(await cli(first(), 'dlq', 'list', '--subscription', 'both')).toEqual([]);
      close();
    },
    TEST_MS,
  );

  it(
    'are changed by the other one when that is killed: within the time of its lease and little more',
    async () => {
      const { slow, close } = await slowRedrive('killed', 30);
      const { service, close: closeSecond } = letters(second());
      await first().process.kill();
      const killedMs = performance.now();
      const selection = { subscription: 'killed' };
      const hasty = service.purge({ selection }, { timeoutMs: 1000 });
      await expect(hasty).rejects.toMatchObject({ code: 'Unavailable', reason: 'NO_OWNER' });
      const { purged } = await service.purge({ selection }, { timeoutMs: 20_000 });
      const tookMs = performance.now() - killedMs;
      process.stderr.write(`takeover of dead letters in ms: ${Math.round(tookMs)}\n`);
      expect(purged).toBeGreaterThan(0n);
      expect(tookMs).toBeGreaterThan(1000);
      expect(await slow).toBeInstanceOf(MeshError);
      const kind = { kind: 'dead' };
      expect(await mesh.metric(second(), 'eventmesh_takeovers_total', kind)).toBe(1);
      expect(await mesh.metric(second(), 'eventmesh_lease_ttl_seconds')).toBe(TTL_MS / 1000);
      close();
      closeSecond();
      await first().process.start();
    },
    TEST_MS,
  );
});

describe('a scheduled event that came too late', () => {
  it(
    'is published as it was when it is redriven, once and to everybody',
    async () => {
      const deliverAt = Date.now() + 1500;
      await publish(first(), 'late/x', ['late-1', 'late-2'], { deliverAt });
      await Promise.all([first().process.kill(), second().process.kill()]);
      await eventually(() => expect(Date.now()).toBeGreaterThan(deliverAt + 1500));
      await Promise.all([first().process.start(), second().process.start()]);
      const consumers = [
        await take(first(), { subscription: named('one', { topicFilters: ['late/#'] }) }),
        await take(second(), { subscription: named('two', { topicFilters: ['late/#'] }) }),
      ];
      await eventually(
        async () => {
          const found = await cli<object[]>(first(), 'dlq', 'list', '--cause', 'late');
          expect(found).toMatchObject([{ subscription: '' }, { subscription: '' }]);
        },
        { timeoutMs: RECOVERY_MS },
      );
      // One at each emesher: it does not matter which of them fires timers.
      const [letter] = await cli<{ id: number }[]>(first(), 'dlq', 'list', '--cause', 'late');
      const one = await cli<Redriven>(second(), 'dlq', 'redrive', '--id', String(letter?.id));
      const rest = await cli<Redriven>(first(), 'dlq', 'redrive', '--cause', 'late');
      expect([one.redriven, rest.redriven]).toEqual([1, 1]);
      for (const consumer of consumers) {
        await eventually(() => expect(consumer.ids.toSorted()).toEqual(['late-1', 'late-2']));
        for (const { event } of consumer.taken) {
          expect(Buffer.from(event.data?.bytes ?? '').toString()).toBe('as it was');
          expect(event.text('meshredrives')).toBeUndefined();
          expect(event.text('meshdeadcause')).toBeUndefined();
        }
      }
      expect(await cli(second(), 'dlq', 'list', '--cause', 'late')).toEqual([]);
      const again = await cli<Redriven>(first(), 'dlq', 'redrive', '--all');
      expect(again.redriven).toBe(0);
    },
    TEST_MS,
  );
});
