import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@eventmesh/testing';
import type { MeshClient } from '@eventmesh/sdk';
import { OneSite } from './one-site.ts';
import { Workspace } from './run-mesh.ts';

const workspace = new Workspace();
let site: OneSite;
let publisher: MeshClient;

beforeAll(async () => {
  site = await OneSite.start(workspace.folder);
  publisher = site.client('publisher');
}, 60_000);

afterAll(async () => {
  await site.stop();
  await workspace.remove();
});

const publish = (topic: string, id: string, data = 'x', type = 'com.example.order') =>
  publisher.publish(topic, { id, source: '/test', type, data: Buffer.from(data) });

/** Makes the entry by the command line. */
async function put(filter: string, ...rules: string[]): Promise<void> {
  const args = ['catalogue', 'topics', 'put', filter, ...rules, ...site.flags('admin')];
  expect(await workspace.run(...args)).toMatchObject({ code: 0 });
}

/** Calls of a user, by the SDK. */
function clientOf(user: 'subscriber') {
  const client = site.client(user);
  return {
    subscriptions: client.subscriptions,
    /** Until the first delivery. */
    subscribe: async (subscription: { name: string; topicFilters: string[] }) => {
      for await (const delivery of client.subscribe({ subscription })) return delivery;
      return undefined;
    },
  };
}

describe('an entry of the catalogue', () => {
  it('refuses what is larger or of another type, naming the limit', async () => {
    await put('ruled/#', '--event-bytes', '200', '--type', 'com.example.order');
    await eventually(() =>
      expect(publish('ruled/a', 'large', 'x'.repeat(300))).rejects.toMatchObject({
        code: 'PayloadTooLarge',
        details: { field: 'event', limit: '200 bytes' },
      }),
    );
    await expect(publish('ruled/a', 'strange', 'x', 'com.example.other')).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'type', reason: 'EVENT_TYPE_NOT_IN_CATALOGUE' },
    });
    await expect(publish('ruled/a', 'good')).resolves.toMatchObject({ duplicate: false });
  });

  it('refuses what is beyond a rate, naming the limit and when to try again', async () => {
    const principal = ['--principal', 'publisher'];
    const flags = site.flags('admin');
    const args = ['catalogue', 'quotas', 'put', '--events', '1', ...principal, ...flags];
    expect(await workspace.run(...args)).toMatchObject({ code: 0 });
    await eventually(() =>
      expect(publish('rate/a', 'one')).rejects.toMatchObject({
        code: 'ResourceExhausted',
        details: {
          field: 'event',
          limit: '1 events a second',
          reason: 'QUOTA',
          retryAfterMs: expect.any(Number),
        },
      }),
    );
    // What was taken before the refusal is told, too.
    const several = ['pub', 'rate/a', 'x', '--count', '50', ...site.flags('publisher')];
    expect(await workspace.run(...several)).toMatchObject({
      code: 75,
      out: expect.stringMatching(/^\d+ of \d+ events published to rate\/a\n$/),
      err: expect.stringContaining('1 events a second'),
    });
    const lift = ['catalogue', 'quotas', 'delete', ...principal, ...flags];
    expect(await workspace.run(...lift)).toMatchObject({ code: 0 });
    // The policy reaches the emesher by and by.
    await eventually(async () => {
      await publish('rate/a', 'two');
      await publish('rate/a', 'three');
    });
  });

  it('refuses a subscription beyond the quota, until there is room again', async () => {
    const [admin, subscriber] = [site.flags('admin'), site.flags('subscriber')];
    const quotas = ['catalogue', 'quotas'];
    const principal = ['--principal', 'subscriber'];
    expect(
      await workspace.run(...quotas, 'put', '--subscriptions', '1', ...principal, ...admin),
    ).toMatchObject({ code: 0 });
    const make = (name: string) =>
      workspace.run('subscriptions', 'create', name, 'a/#', ...subscriber);
    expect(await make('quota-0')).toMatchObject({ code: 0 });
    const { subscriptions, subscribe } = clientOf('subscriber');
    const refused = {
      code: 'ResourceExhausted',
      details: { field: 'subscription', limit: '1 subscriptions', reason: 'QUOTA' },
    };
    const second = { name: 'quota-1', topicFilters: ['a/#'] };
    // The policy reaches the emesher by and by.
    await eventually(async () => {
      await subscriptions.deleteSubscription({ name: second.name }).catch(() => undefined);
      await expect(
        subscriptions.createSubscription({ subscription: second }),
      ).rejects.toMatchObject(refused);
    });
    await expect(subscribe({ name: '', topicFilters: ['a/#'] })).rejects.toMatchObject(refused);
    // What is there already goes on.
    expect(await make('quota-0')).toMatchObject({ code: 0 });
    await eventually(async () => {
      const entries = await workspace.json<object[]>('audit', 'list', ...admin);
      const by = { principal: 'default/user:subscriber' };
      const entry = { ...by, action: 'subscribe', resource: 'quota-1' };
      expect(entries).toContainEqual(expect.objectContaining({ ...entry, outcome: 'refused' }));
    });
    await subscriptions.deleteSubscription({ name: 'quota-0' });
    expect(await make('quota-1')).toMatchObject({ code: 0 });
    expect(await workspace.run(...quotas, 'delete', ...principal, ...admin)).toMatchObject({
      code: 0,
    });
  });

  it('ends the life of its events with the retention', async () => {
    await put('kept/short', '--retention', '50ms', '--event-bytes', '200');
    await eventually(() =>
      expect(publish('kept/short', 'large', 'x'.repeat(300))).rejects.toMatchObject({
        code: 'PayloadTooLarge',
      }),
    );
    await publish('kept/short', 'gone');
    await publish('kept/long', 'there');
    await publish('kept/long', 'end');
    await eventually(async () => {
      const events = await site.stored('kept/#', 'end');
      expect(events.map(({ id }) => id)).toEqual(['there']);
    });
  });
});

describe('the list of entries', () => {
  it('names classes and enforcement as the options do', async () => {
    const flags = site.flags('admin');
    await put('named/direct', '--direct');
    await put('named/strong', '--durability', 'page-cache');
    const topics = await workspace.json<object[]>('catalogue', 'topics', ...flags);
    for (const [topicFilter, deliveryClass, durabilityMin] of [
      ['named/direct', 'direct', ''],
      ['named/strong', 'durable', 'page-cache'],
    ]) {
      const entry = { topicFilter, deliveryClass, durabilityMin };
      expect(topics).toContainEqual(expect.objectContaining(entry));
    }
    const [types, type] = [['catalogue', 'types'], 'named.type'];
    expect(await workspace.run(...types, 'put', type, '--warn', ...flags)).toMatchObject({
      code: 0,
    });
    const listed = await workspace.json<object[]>(...types, ...flags);
    expect(listed).toContainEqual(expect.objectContaining({ type, enforcement: 'warn' }));
  });
});

describe('the audit', () => {
  it('has what was refused for want of right, whatever was asked for', async () => {
    const as = site.flags('publisher');
    const sub = await workspace.run('sub', 'mine/#', '--count', '1', '--timeout', '20s', ...as);
    expect(sub.code).toBe(77);
    const made = await workspace.run('subscriptions', 'create', 'mine', 'yours/#', ...as);
    expect(made.code).toBe(77);
    const event = { id: '1', source: '/test', type: 'x' };
    await expect(site.client('subscriber').publish('a/b', event)).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
    const flags = site.flags('admin');
    await eventually(async () => {
      const entries = await workspace.json<object[]>('audit', 'list', ...flags);
      for (const [principal, action, resource] of [
        ['publisher', 'subscribe', 'mine/#'],
        ['publisher', 'subscribe', 'yours/#'],
        ['subscriber', 'publish', 'a/b'],
      ]) {
        const by = `default/user:${principal}`;
        const entry = { principal: by, action, resource, outcome: 'refused' };
        expect(entries).toContainEqual(expect.objectContaining(entry));
      }
    });
  });
});
