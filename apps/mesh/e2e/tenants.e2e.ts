import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, tempDir } from '@eventmesh/testing';
import { TwoSites, type SiteName, type User } from './two-sites.ts';

const OURS: User = 'admin';
const THEIRS: User = 'evil/mallory';
const IDS = Array.from({ length: 20 }, (_, n) => `same-${n}`);

const dir = tempDir('tenants');
let sites: TwoSites;
const leaving: (() => Promise<void>)[] = [];
/** Data of what each tenant's consumer at east was given. */
const got = new Map<User, string[]>();

beforeAll(async () => {
  sites = await TwoSites.start(dir.path);
  for (const user of [OURS, THEIRS]) await consume(user);
}, 60_000);

afterAll(async () => {
  for (const leave of leaving) await leave();
  await sites?.stop();
  dir.remove();
});

/** Under one name, with one filter, that takes everything. */
async function consume(user: User): Promise<void> {
  const stop = new AbortController();
  const data: string[] = [];
  got.set(user, data);
  const subscription = { name: 'same', topicFilters: ['#'] };
  const stream = sites
    .client('east', user)
    .subscribe({ subscription, convergeMs: 10_000, signal: stop.signal });
  const ended = (async () => {
    for await (const { event, ...delivery } of stream) {
      data.push(Buffer.from(event.data?.bytes ?? []).toString());
      if (event.id === 'bad') delivery.reject('ours alone');
      else delivery.accept();
    }
  })().catch(() => undefined); // The test leaves.
  await stream.opened;
  leaving.push(async () => {
    stop.abort();
    await ended;
  });
}

const publish = (user: User, id: string, options = {}) =>
  sites
    .client('west', user)
    .publish('same/topic', { id, source: '/same', type: 't', data: user }, options);

async function ask(site: SiteName, user: User, path: string, method = 'GET') {
  const response = await sites.http(site, user, path, { method });
  return { status: response.status, text: await response.text() };
}

describe('two tenants with the same topics, ids and names', () => {
  it('have their own events, duplicates and consumers, over a link too', async () => {
    for (const id of IDS) {
      for (const user of [OURS, THEIRS]) expect((await publish(user, id)).duplicate).toBe(false);
    }
    for (const user of [OURS, THEIRS]) {
      await eventually(() => expect(got.get(user)).toEqual(IDS.map(() => user)));
      expect((await publish(user, 'same-0')).duplicate).toBe(true);
    }
  });

  it('see nothing of each other, by whatever name they ask', async () => {
    await publish(OURS, 'bad');
    await publish(OURS, 'later', { deliverAfterMs: 3_600_000 });
    await eventually(async () =>
      expect((await ask('east', OURS, '/v1/dead-letters')).text).toContain('ours alone'),
    );
    for (const site of ['west', 'east'] as const) {
      for (const path of ['/v1/dead-letters', '/v1/scheduled', '/v1/subscriptions', '/v1/ledger']) {
        const { status, text } = await ask(site, THEIRS, path);
        expect([path, status]).toEqual([path, 200]);
        for (const word of ['ours alone', '"later"', '"bad"', 'user:admin', '"default"']) {
          expect([path, text.includes(word)]).toEqual([path, false]);
        }
      }
      expect((await ask(site, THEIRS, '/v1/scheduled/later', 'DELETE')).status).toBe(404);
      expect((await ask(site, THEIRS, '/v1/dead-letters/1')).status).toBe(404);
    }
    const why = await ask('west', THEIRS, '/v1/why/bad');
    expect(why.text).not.toContain('same/topic');
    const trace = await ask('west', THEIRS, '/v1/trace/bad');
    expect(trace.text).not.toContain('same/topic');
    expect((await ask('west', OURS, '/v1/why/bad')).text).toContain('"dead-lettered"');
  });
});
