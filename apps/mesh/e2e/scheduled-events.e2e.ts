import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError, type EventView, type MeshClient } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 120_000;
const HOUR_MS = 3_600_000;
/** Many wait in one of the tests. */
const MANY = 100_000;
/** And some in others. */
const PENDING_MAX = MANY + 5000;

const dir = tempDir('scheduled');
let site: OneSite;
let publisher: MeshClient;
const stop = new AbortController();
/** By place in the store: what is delivered again after a crash is the same event. */
const arrived = new Map<number, { readonly event: EventView; readonly atMs: number }>();

const event = (id: string) => ({ id, source: '/scheduled', type: 'test', data: 'x' });
const ids = (prefix: string) =>
  [...arrived.values()].map(({ event: { id } }) => id).filter((id) => id.startsWith(prefix));
const pending = () => site.metric('eventmesh_timers_pending');
const passed = (timeMs: number) =>
  eventually(() => expect(Date.now()).toBeGreaterThan(timeMs), { timeoutMs: 60_000 });

/** Accepts everything, and attaches again whenever the site was away. */
async function consume(): Promise<void> {
  const client = site.client('subscriber');
  const spec = { name: 'all', topicFilters: ['#'], start: { kind: 'earliest' } as const };
  while (!stop.signal.aborted) {
    try {
      const subscription = client.subscribe({ subscription: spec, signal: stop.signal });
      for await (const delivery of subscription) {
        const { position, event } = delivery;
        if (!arrived.has(position)) arrived.set(position, { event, atMs: Date.now() });
        delivery.accept();
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
let consuming: Promise<void>;

beforeAll(async () => {
  // A late event is one of a second, so that a restart makes some.
  site = await OneSite.start(dir.path, {
    timers: { lateTolerance: '1s', pendingMax: PENDING_MAX },
  });
  publisher = site.client('publisher');
  consuming = consume();
}, TEST_MS);

afterAll(async () => {
  stop.abort();
  await site?.stop();
  await consuming;
  dir.remove();
}, 30_000);

describe('an event that is published for later', () => {
  it('is delivered when it is due, not before, with a receipt that says when', async () => {
    const deliverAt = Date.now() + 700;
    const receipt = await publisher.publish('a/later', event('due-1'), { deliverAt });
    expect(receipt).toMatchObject({
      deliverAtMs: deliverAt,
      durability: 'fsync',
      duplicate: false,
    });
    const later = { deliverAt: deliverAt + HOUR_MS };
    const again = await publisher.publish('a/later', event('due-1'), later);
    expect(again).toMatchObject({ duplicate: true, position: receipt.position });
    // It comes when the first one is due, which is not the time that was asked for now.
    expect(again.deliverAtMs).toBeUndefined();
    await eventually(() => expect(ids('due-')).toEqual(['due-1']));
    expect(
      [...arrived.values()].find(({ event: { id } }) => id === 'due-1')?.atMs,
    ).toBeGreaterThanOrEqual(deliverAt);
    const accepted = await site.metric('eventmesh_events_accepted_total', { class: 'durable' });
    expect(accepted).toBe(1);
  });

  it('is published at once when its time has passed', async () => {
    const receipt = await publisher.publish('a/later', event('past-1'), { deliverAt: 1 });
    expect(receipt.deliverAtMs).toBeUndefined();
    await eventually(() => expect(ids('past-')).toEqual(['past-1']));
  });

  it('takes its time from the attribute or from the query over HTTP', async () => {
    const headers = {
      authorization: site.authorization('publisher'),
      'ce-id': 'http-1',
      'ce-source': '/s',
      'ce-type': 't',
      'ce-specversion': '1.0',
    };
    const post = (query: string, more: Record<string, string>) =>
      fetch(`${site.http}/v1/topics/a/later${query}`, {
        method: 'POST',
        body: 'x',
        headers: { ...headers, ...more },
      });
    const deliverAt = new Date(Date.now() + 600);
    const one = await post('', { 'ce-delivertime': deliverAt.toISOString() });
    expect(await one.json()).toMatchObject({ deliverAtMs: deliverAt.getTime() });
    const two = await post('?deliverAfterMs=600&late=skip', { 'ce-id': 'http-2' });
    expect(two.status).toBe(200);
    const refused = await post('?deliverAfterMs=600&delivery=direct', { 'ce-id': 'http-3' });
    expect(await refused.json()).toMatchObject({ status: 400, field: 'deliverAtMs' });
    await eventually(() => expect(ids('http-')).toEqual(['http-1', 'http-2']));
  });

  it('ends when its expirytime says, also in 1970, and cannot end before it is due', async () => {
    const post = async (id: string, query: string, end?: string) => {
      const headers = {
        authorization: site.authorization('publisher'),
        'ce-id': id,
        'ce-source': '/s',
        'ce-type': 't',
        'ce-specversion': '1.0',
        ...(end === undefined ? {} : { 'ce-expirytime': end }),
      };
      const url = `${site.http}/v1/topics/a/ended${query}`;
      return (await fetch(url, { method: 'POST', body: 'x', headers })).status;
    };
    expect(await post('ended-1', '', '1970-01-01T00:00:00Z')).toBe(200);
    expect(await post('ended-2', '', '1969-12-31T23:59:59Z')).toBe(200);
    expect(await post('ended-3', '?deliverAfterMs=1000', '1970-01-01T00:00:00Z')).toBe(400);
    expect(await post('ended-last', '')).toBe(200);
    await eventually(() => expect(ids('ended-')).toEqual(['ended-last']));
  });

  it.each([
    ['a year and a day', { deliverAfterMs: 367 * 24 * HOUR_MS }, 'deliver_after_ms'],
    ['two times', { deliverAfterMs: 1000, deliverAt: Date.now() + HOUR_MS }, 'deliver_after_ms'],
    ['a time before now, negative', { deliverAt: -1 }, 'deliverAt'],
  ])('is refused for %s', async (_, options, field) => {
    const refused = publisher.publish('a/later', event('refused'), options);
    await expect(refused).rejects.toMatchObject({ code: 'InvalidArgument', details: { field } });
  });

  it('is taken back by its id while it waits, and not after', async () => {
    const options = { deliverAfterMs: HOUR_MS };
    await publisher.publish('a/later', event('back-1'), options);
    await publisher.publish('a/later', event('back-2'), options);
    const { events } = await site.scheduled.listScheduledEvents({});
    expect(events.map(({ id }) => id)).toEqual(['back-1', 'back-2']);
    expect(events[0]).toMatchObject({ topic: 'a/later', principal: 'user:publisher' });
    const { cancelled } = await site.scheduled.cancelScheduledEvent({ id: 'back-1' });
    expect(cancelled).toBe(1n);
    const again = site.scheduled.cancelScheduledEvent({ id: 'back-1' });
    await expect(again).rejects.toMatchObject({ code: 'NotFound' });
    const url = `${site.http}/v1/scheduled/back-2?source=%2Fscheduled`;
    const headers = { authorization: site.authorization('publisher') };
    const deleted = await fetch(url, { method: 'DELETE', headers });
    expect(await deleted.json()).toEqual({ cancelled: 1 });
    await eventually(async () => expect(await pending()).toBe(0));
  });

  it('can be scheduled again when it was taken back, and is then published', async () => {
    const first = await publisher.publish('a/later', event('again-1'), { deliverAfterMs: HOUR_MS });
    expect(first.duplicate).toBe(false);
    expect((await site.scheduled.cancelScheduledEvent({ id: 'again-1' })).cancelled).toBe(1n);
    const deliverAt = Date.now() + 700;
    const second = await publisher.publish('a/later', event('again-1'), { deliverAt });
    expect(second).toMatchObject({ duplicate: false, deliverAtMs: deliverAt });
    const { events } = await site.scheduled.listScheduledEvents({});
    expect(events).toMatchObject([{ id: 'again-1', deliverAtMs: BigInt(deliverAt) }]);
    await eventually(() => expect(ids('again-')).toEqual(['again-1']));
    // It was published once, and is not published again.
    await eventually(async () => expect(await pending()).toBe(0));
    const third = await publisher.publish('a/later', event('again-1'), { deliverAfterMs: 1 });
    expect(third).toMatchObject({ duplicate: true });
    expect(third.deliverAtMs).toBeUndefined();
  });

  it('is taken back of one source only, which has to be named when there are several', async () => {
    const options = { deliverAfterMs: HOUR_MS };
    await publisher.publish('a/later', event('same-1'), options);
    await publisher.publish('a/later', { ...event('same-1'), source: '/other' }, options);
    const refused = site.scheduled.cancelScheduledEvent({ id: 'same-1' });
    await expect(refused).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'source' },
      message: expect.stringMatching(/"\/scheduled", "\/other"/),
    });
    for (const source of ['/other', '/scheduled']) {
      const { cancelled } = await site.scheduled.cancelScheduledEvent({ id: 'same-1', source });
      expect(cancelled).toBe(1n);
    }
  });

  it('is taken back and listed while others are being published', async () => {
    const deliverAt = Date.now() + 300;
    const stream = publisher.publisher();
    const entries = Array.from({ length: 3000 }, (_, n) => ({
      topic: 'busy',
      event: event(`busy-${n}`),
      deliverAt: deliverAt + n,
    }));
    const far = Array.from({ length: 20 }, (_, n) => ({
      topic: 'busy',
      event: event(`far-${n}`),
      deliverAfterMs: HOUR_MS,
    }));
    await stream.publishMany([...far, ...entries]);
    await stream.close();
    await eventually(() => expect(ids('busy-').length).toBeGreaterThan(0));
    for (const {
      event: { id },
    } of far) {
      await site.scheduled.listScheduledEvents({ pageSize: 1000 });
      expect((await site.scheduled.cancelScheduledEvent({ id })).cancelled).toBe(1n);
    }
    await eventually(() => expect(ids('busy-')).toHaveLength(3000), { timeoutMs: 30_000 });
    expect(ids('far-')).toEqual([]);
  });

  it('becomes a dead letter when its publisher may not publish any more', async () => {
    const roles = ['publisher'];
    const user = { tenant: 'default', name: 'leaver', roles, disabled: false };
    await site.acl.putUser({ user, password: 'leavers-password' });
    const headers = {
      authorization: `Basic ${Buffer.from('leaver:leavers-password').toString('base64')}`,
      'ce-id': 'leaver-1',
      'ce-source': '/s',
      'ce-type': 't',
      'ce-specversion': '1.0',
    };
    const url = `${site.http}/v1/topics/a/later?deliverAfterMs=2500`;
    const response = await fetch(url, { method: 'POST', body: 'x', headers });
    expect(response.status).toBe(200);
    await site.acl.deleteUser({ tenant: 'default', name: 'leaver' });
    const outcome = { outcome: 'forbidden' };
    await eventually(async () => {
      expect(await site.metric('eventmesh_timers_total', outcome)).toBe(1);
    });
    const { groups } = await site.deadLetters.groups({});
    expect(groups).toMatchObject([{ cause: 'forbidden', count: 1n }]);
    expect(ids('leaver-')).toEqual([]);
  });
});

describe('events that wait while the site is killed', () => {
  it(
    'are published once, and those that are late as each of them says',
    async () => {
      const deliverAt = Date.now() + 1500;
      for (const latePolicy of ['fire', 'skip', 'dead-letter'] as const) {
        await publisher.publish('a/later', event(`crash-${latePolicy}`), { deliverAt, latePolicy });
      }
      const inTime = Date.now() + 12_000;
      await publisher.publish('a/later', event('crash-in-time'), {
        deliverAt: inTime,
        latePolicy: 'skip',
      });
      await site.process.kill();
      // More than the tolerance.
      await passed(deliverAt + 1100);
      await site.process.start();
      await eventually(
        () => expect(ids('crash-').toSorted()).toEqual(['crash-fire', 'crash-in-time']),
        {
          timeoutMs: 40_000,
        },
      );
      await site.crash();
      await eventually(async () => expect(await pending()).toBe(0));
      expect(ids('crash-').toSorted()).toEqual(['crash-fire', 'crash-in-time']);
      const { groups } = await site.deadLetters.groups({ selection: { cause: 'late' } });
      expect(groups).toMatchObject([{ cause: 'late', count: 1n }]);
      // What was skipped or died was not published, and may be once more.
      for (const id of ['crash-fire', 'crash-skip', 'crash-dead-letter']) {
        await publisher.publish('a/later', event(id), { deliverAfterMs: 500 });
      }
      await eventually(async () => expect(await pending()).toBe(0));
      const all = ['crash-dead-letter', 'crash-fire', 'crash-in-time', 'crash-skip'];
      await eventually(() => expect(ids('crash-').toSorted()).toEqual(all));
    },
    TEST_MS,
  );

  it(
    'are all there again, 100,000 of them, within seconds',
    async () => {
      const count = MANY;
      const stream = publisher.publisher();
      for (let from = 0; from < count; from += 5000) {
        const entries = Array.from({ length: 5000 }, (_, n) => ({
          topic: `bulk/${n % 10}`,
          event: event(`bulk-${from + n}`),
          deliverAt: Date.now() + HOUR_MS + n,
        }));
        const outcomes = await stream.publishMany(entries);
        expect(outcomes.every((outcome) => 'deliverAtMs' in outcome)).toBe(true);
      }
      await stream.close();
      await site.process.kill();
      const started = performance.now();
      await site.process.start();
      await eventually(async () => expect(await pending()).toBe(count), { timeoutMs: 20_000 });
      const seconds = (performance.now() - started) / 1000;
      expect(seconds).toBeLessThan(20);
      // The others go on meanwhile.
      await publisher.publish('a/later', event('beside-1'), { deliverAfterMs: 300 });
      await eventually(() => expect(ids('beside-')).toEqual(['beside-1']));
      const { cancelled } = await site.scheduled.cancelScheduledEvent({ id: 'bulk-77777' });
      expect(cancelled).toBe(1n);
      await eventually(async () => expect(await pending()).toBe(count - 1));
      expect(ids('bulk-')).toEqual([]);
      // One call may fill what room there is, and no more.
      const crowd = publisher.publisher();
      const outcomes = await crowd.publishMany(
        Array.from({ length: 8000 }, (_, n) => ({
          topic: 'crowd',
          event: event(`crowd-${n}`),
          deliverAfterMs: HOUR_MS,
        })),
      );
      await crowd.close();
      const refused = outcomes.filter((outcome) => outcome instanceof MeshError);
      expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(['TIMERS_FULL']));
      expect(outcomes.length - refused.length).toBeGreaterThan(0);
      await eventually(async () => {
        expect(await pending()).toBe(count - 1 + outcomes.length - refused.length);
      });
      expect(await pending()).toBeLessThanOrEqual(PENDING_MAX);
      for (let n = 0; n < 5; n++) {
        await site.scheduled.cancelScheduledEvent({ id: `crowd-${n}` });
      }
      await publisher.publish('crowd', event('crowd-again'), { deliverAfterMs: HOUR_MS });
    },
    TEST_MS,
  );
});

describe('a schedule', () => {
  const seconds = () => ids('tick/').map((id) => Date.parse(id.slice('tick/'.length)) / 1000);
  const put = (schedule: object) =>
    site.governance.putSchedule({
      schedule: {
        name: 'tick',
        cron: '* * * * * *',
        topic: 'ticks',
        event: { type: 'tick', data: { case: 'text', value: 'tock' } },
        ...schedule,
      },
    } as never);

  it(
    'publishes each occurrence once, through a crash and for what was missed',
    async () => {
      await put({});
      await eventually(() => expect(seconds().length).toBeGreaterThanOrEqual(2));
      await site.process.kill();
      const killedAt = Date.now();
      await passed(killedAt + 2500);
      await site.process.start();
      const back = seconds().length;
      await eventually(() => expect(seconds().length).toBeGreaterThan(back + 4), {
        timeoutMs: 30_000,
      });
      await site.governance.pauseSchedule({ tenant: 'default', name: 'tick', paused: true });
      const got = seconds();
      const wanted = Array.from({ length: got.length }, (_, n) => (got[0] ?? 0) + n);
      expect(got).toEqual(wanted);
      const tick = [...arrived.values()].find(({ event: { id } }) => id.startsWith('tick/'))?.event;
      expect(tick).toMatchObject({ source: '/schedules/tick', type: 'tick' });
      expect(Buffer.from(tick?.data?.bytes ?? []).toString()).toBe('tock');
    },
    TEST_MS,
  );

  it.each([
    ['a cron expression that is none', { cron: '61 * * * *' }, 'schedule.cron'],
    ['one that never comes due', { cron: '0 0 31 2 *' }, 'schedule.cron'],
    ['a time zone that is none', { timeZone: 'Mars/Base' }, 'schedule.time_zone'],
    ['a wildcard topic', { topic: 'a/#' }, 'schedule.topic'],
    ['an event without a type', { event: { type: '' } }, 'schedule.event.type'],
  ])('is refused for %s', async (_, schedule, field) => {
    await expect(put({ name: 'bad', ...schedule })).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
  });

  it('tells when it comes due next, and of a time that a change of clock leaves out', async () => {
    const { timesMs, warnings } = await site.governance.previewSchedule({
      cron: '30 2 28 3 *',
      timeZone: 'Europe/Berlin',
      afterMs: BigInt(Date.parse('2027-03-01T00:00:00Z')),
      count: 1,
    });
    expect(timesMs.map((ms) => new Date(Number(ms)).toISOString())).toEqual([
      '2027-03-28T01:00:00.000Z',
    ]);
    expect(warnings).toEqual([expect.stringContaining('2027-03-28T02:30:00 does not exist')]);
  });
});

describe('the command line', () => {
  const workspace = new Workspace();
  afterAll(() => workspace.remove());
  const mesh = <T>(...args: string[]) => workspace.json<T>(...args, ...site.flags('admin'));

  it('makes, shows, pauses and deletes schedules', async () => {
    const [first] = await mesh<{ due: string }[]>(
      ...['schedules', 'create', 'yearly', '0 0 1 1 *', 'a/yearly', '{"year":true}'],
      ...['--late', 'skip', '--key', 'k'],
    );
    const year = new Date().getUTCFullYear() + 1;
    expect(first?.due).toBe(`${year}-01-01T00:00:00.000Z`);
    expect(await mesh('schedules', 'get', 'yearly')).toMatchObject({
      cron: '0 0 1 1 *',
      owner: 'user:admin',
      latePolicy: 'skip',
      data: '{"year":true}',
      attributes: { partitionkey: 'k', datacontenttype: 'application/json' },
    });
    expect(await mesh('schedules', 'next', 'yearly', '-n', '2')).toHaveLength(2);
    await workspace.run('schedules', 'pause', 'yearly', ...site.flags('admin'));
    const listed = await mesh<{ name: string; paused: boolean }[]>('schedules');
    expect(listed).toContainEqual(await mesh('schedules', 'get', 'yearly'));
    expect(listed.find(({ name }) => name === 'yearly')).toMatchObject({ paused: true });
    await workspace.run('schedules', 'delete', 'yearly', ...site.flags('admin'));
    const { code } = await workspace.run('schedules', 'get', 'yearly', ...site.flags('admin'));
    expect(code).toBe(66);
  });

  it('publishes for later, shows what waits, and takes it back', async () => {
    const at = new Date(Date.now() + HOUR_MS / 2).toISOString();
    const [published] = await mesh<{ receipt: { deliverAtMs: number } }[]>(
      ...['pub', 'a/cli', 'x', '--id', 'cli-1', '--at', at, '--late', 'dead-letter'],
    );
    expect(published?.receipt.deliverAtMs).toBe(Date.parse(at));
    const [soonest] = await mesh<{ id: string }[]>('schedules', 'pending', '-n', '1');
    expect(soonest).toMatchObject({ id: 'cli-1', topic: 'a/cli', principal: 'user:admin' });
    expect(await mesh('schedules', 'cancel', 'cli-1')).toMatchObject({ cancelled: 1 });
  });

  it.each(['2027-02-29T00:00:00Z', '2027-01-01T08:00:00', '2027-01-01'])(
    'refuses %s, which is no moment',
    async (at) => {
      const asked = workspace.run('pub', 'a/cli', 'x', '--at', at, ...site.flags('admin'));
      const { code, err } = await asked;
      expect({ code, err }).toMatchObject({
        code: 64,
        err: expect.stringContaining('RFC 3339'),
      });
    },
  );
});
