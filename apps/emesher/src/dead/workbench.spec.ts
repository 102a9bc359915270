import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { EventView, decodeRecord, type RecordView } from '@eventmesh/event';
import { DeadSite, TENANT, caller, dying } from './test/dead-site.ts';
import type { DeadParts } from './index.ts';

const admin = caller('admin', { admin: ['#'], inspect: ['#'] });
const whole = { all: true };
const now = { token: '' };
const fast = { rateMax: 0, token: '' };
let site: DeadSite;
let parts: DeadParts;

beforeEach(async () => {
  site = new DeadSite();
  await site.open();
  site.subscribe('billing');
  site.subscribe('audit', 'user:auditor');
  parts = site.emesher('a');
});
afterEach(() => site.close());

const ids = async (session = admin, selection = {}, port = parts.port) => {
  const { items } = await port.list(session, selection, { size: 1000, token: '' });
  return items.map(({ id }) => id);
};

async function events(): Promise<RecordView[]> {
  const found: RecordView[] = [];
  const log = `events.${TENANT}`;
  if ((await site.store.logInfo(log)) === undefined) return [];
  const from = { kind: 'position', position: 1 } as const;
  for await (const item of site.store.read({ log, partition: 0, from, stopAtEnd: true })) {
    if (item.kind === 'batch') found.push(...item.records.map((bytes) => decodeRecord(bytes)));
  }
  return found;
}

/** Letters 1 to `count`; the even ones of `audit` with another cause. */
const fill = (count: number) =>
  parts.letters.bury(
    TENANT,
    Array.from({ length: count }, (_, n) =>
      dying(n + 1, n % 2 === 1 ? { subscription: 'audit', cause: 'worse' } : {}),
    ),
  );

describe('looking at dead letters', () => {
  it('lists by subscription, cause and ids, in pages', async () => {
    await fill(7);
    expect(await ids()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await ids(admin, { subscription: 'audit' })).toEqual([2, 4, 6]);
    expect(await ids(admin, { cause: 'bad', ids: [7, 2, 3] })).toEqual([3, 7]);
    const pages: number[][] = [];
    for (let token = '', more = true; more; more = token !== '') {
      const page = await parts.port.list(admin, { cause: 'bad' }, { size: 2, token });
      pages.push(page.items.map(({ id }) => id));
      token = page.nextToken;
    }
    expect(pages.filter((page) => page.length > 0)).toEqual([
      [1, 3],
      [5, 7],
    ]);
  });

  it('groups by subscription and cause, and says how much there is', async () => {
    await fill(5);
    expect(await parts.port.groups(admin, {})).toMatchObject([
      { subscription: 'billing', cause: 'bad', count: 3, oldestMs: 1_700_000_000_001 },
      { subscription: 'audit', cause: 'worse', count: 2, newestMs: 1_700_000_000_004 },
    ]);
    const status = await parts.port.status(admin);
    expect(status).toMatchObject({ count: 5, full: false, oldestMs: 1_700_000_000_001 });
    expect(status.bytes).toBeGreaterThan(0);
  });

  it('keeps a bounded number of groups, however many causes there are', async () => {
    const letters = Array.from({ length: 1100 }, (_, n) => dying(n + 1, { cause: `order ${n}` }));
    await parts.letters.bury(TENANT, letters);
    const groups = await parts.port.groups(admin, {});
    expect(groups).toHaveLength(1000);
    expect(groups.at(-1)).toMatchObject({ subscription: '', cause: '', count: 101 });
  });

  it('has nothing to say, and no fault, where nothing ever died', async () => {
    expect(await ids()).toEqual([]);
    expect(await parts.port.groups(admin, {})).toEqual([]);
    expect(await parts.port.status(admin)).toMatchObject({ count: 0, bytes: 0, oldestMs: 0 });
    expect(await parts.port.redrive(admin, whole, fast)).toMatchObject({ redriven: 0 });
    expect(await parts.port.purge(admin, whole, now)).toMatchObject({ purged: 0 });
    await expect(parts.port.get(admin, 1)).rejects.toMatchObject({ code: 'NotFound' });
  });

  it.each([
    [{ ids: [0] }, 'selection.ids[0]'],
    [{ ids: [1.5] }, 'selection.ids[0]'],
    [{ ids: Array.from({ length: 1001 }, (_, n) => n + 1) }, 'selection.ids'],
  ])('refuses ids that are none by name', async (selection, field) => {
    await expect(ids(admin, selection)).rejects.toMatchObject({ details: { field } });
  });

  it('refuses a token that it has not given', async () => {
    const page = { size: 1, token: 'mine' };
    await expect(parts.port.list(admin, {}, page)).rejects.toMatchObject({
      details: { field: 'token' },
    });
  });
});

describe('rights', () => {
  it('show letters to who may manage the subscription and receive the topic', async () => {
    await fill(4);
    expect(await ids(caller('owner', { subscribe: ['orders/new'] }))).toEqual([1, 3]);
    expect(await ids(caller('other', { subscribe: ['orders/#'] }))).toEqual([1, 2, 3, 4]);
    // Its owner's right to the topic was taken away: so was the event.
    expect(await ids(caller('owner', { subscribe: ['invoices/#'] }))).toEqual([]);
    expect(await ids(caller('stranger', { subscribe: ['orders/new'] }))).toEqual([]);
    expect(await ids(caller('nobody', {}))).toEqual([]);
  });

  it('of another tenant reach nothing', async () => {
    await fill(4);
    const mallory = caller('admin', { admin: ['#'], inspect: ['#'] }, 'evil');
    expect(await ids(mallory)).toEqual([]);
    await expect(parts.port.get(mallory, 1)).rejects.toMatchObject({ code: 'NotFound' });
    expect(await parts.port.purge(mallory, whole, now)).toMatchObject({ purged: 0 });
    expect(await parts.port.status(mallory)).toMatchObject({ count: 0 });
    expect(await ids()).toEqual([1, 2, 3, 4]);
  });

  it('bound what a change touches', async () => {
    await fill(4);
    const owner = caller('owner', { subscribe: ['orders/new'] });
    expect(await parts.port.purge(owner, whole, now)).toMatchObject({ purged: 2 });
    expect(await parts.port.redrive(owner, { ids: [2, 4] }, fast)).toMatchObject({ redriven: 0 });
    expect(await ids()).toEqual([2, 4]);
  });

  it('are needed for the totals of the tenant', async () => {
    const owner = caller('owner', { subscribe: ['#'] });
    await expect(parts.port.status(owner)).rejects.toMatchObject({ code: 'PermissionDenied' });
  });
});

describe('redriving', () => {
  it('stores each event again for its own subscription, and the letters are gone', async () => {
    await fill(4);
    const [letter] = (await parts.port.list(admin, {}, { size: 1, token: '' })).items;
    expect(await parts.port.redrive(admin, { subscription: 'billing' }, fast)).toEqual({
      redriven: 2,
      missing: 0,
      unmatched: 0,
      forbidden: 0,
      nextToken: '',
    });
    const stored = await events();
    expect(stored.map(({ handling }) => handling.onlySubscription)).toEqual(['billing', 'billing']);
    expect(stored[0]?.event.subarray(0, letter?.event.length)).toEqual(letter?.event);
    expect(new EventView(stored[0]?.event ?? Buffer.of()).text('meshredrives')).toBe('1');
    expect(await ids()).toEqual([2, 4]);
    expect(site.audited).toMatchObject([
      {
        action: 'redrive-dead-letters',
        resource: 'billing',
        principal: `${TENANT}/user:admin`,
        outcome: 'done',
      },
    ]);
    const label = { tenant: TENANT };
    expect(await site.metrics.value('eventmesh_dead_letters_redriven_total', label)).toBe(2);
  });

  it('leaves letters whose subscription is gone, and says how many', async () => {
    await fill(4);
    site.subscriptions.delete(`${TENANT}/audit`);
    const result = await parts.port.redrive(admin, whole, fast);
    expect(result).toEqual({ redriven: 2, missing: 2, unmatched: 0, forbidden: 0, nextToken: '' });
    expect(await ids()).toEqual([2, 4]);
  });

  it('stores an event once when the emesher died before it could settle the letter', async () => {
    await fill(2);
    const { commitCursors } = site.store;
    site.store.commitCursors = () => Promise.reject(new Error('killed'));
    await expect(parts.port.redrive(admin, whole, fast)).rejects.toThrow();
    site.store.commitCursors = commitCursors.bind(site.store);
    expect(await events()).toHaveLength(2);
    expect(await ids()).toEqual([1, 2]);
    await site.emesher('a').port.redrive(admin, whole, fast);
    expect(await events()).toHaveLength(2);
    expect(await ids()).toEqual([]);
  });

  it('keeps to a rate, and gives up when its caller does', async () => {
    await fill(40);
    const leaving = new AbortController();
    const started = parts.port.redrive(admin, whole, {
      rateMax: 8,
      token: '',
      signal: leaving.signal,
    });
    // Two events, and then a pause of a quarter second.
    leaving.abort();
    const { redriven, nextToken } = await started;
    expect(redriven).toBeLessThanOrEqual(2);
    expect(nextToken).not.toBe('');
  });

  it('goes on by its token, up to what was there at first', async () => {
    await fill(6);
    const { nextToken, ...first } = await redriveSome(2);
    expect(first).toMatchObject({ redriven: 2 });
    await parts.letters.bury(TENANT, [dying(50)]);
    const rest = await parts.port.redrive(admin, whole, { rateMax: 0, token: nextToken });
    expect(rest).toEqual({ redriven: 4, missing: 0, unmatched: 0, forbidden: 0, nextToken: '' });
    expect(await ids()).toEqual([7]);
  });

  /** A call that has no more time after its first batch. */
  function redriveSome(events: number) {
    const leaving = new AbortController();
    leaving.abort();
    const rateMax = events * 4;
    return parts.port.redrive(admin, whole, { rateMax, token: '', signal: leaving.signal });
  }

  it('is for one emesher at a time; all of them may look', async () => {
    await fill(2);
    const other = site.emesher('b');
    await site.owners.acquire(`dead/${TENANT}`, 'b');
    await expect(parts.port.redrive(admin, whole, fast)).rejects.toThrow();
    expect(await ids(admin, {}, other.port)).toEqual([1, 2]);
    expect(await other.port.redrive(admin, whole, fast)).toMatchObject({ redriven: 2 });
    expect(await ids()).toEqual([]);
  });

  it('of an owner that was replaced meanwhile is fenced by the store', async () => {
    await fill(2);
    site.owners.epochs.set(`dead/${TENANT}`, 7);
    await site.emesher('b').port.purge(admin, { ids: [1] }, now);
    site.owners.epochs.set(`dead/${TENANT}`, 2);
    await expect(parts.port.purge(admin, { ids: [2] }, now)).rejects.toMatchObject({
      details: { reason: 'FENCED' },
    });
    expect(await ids()).toEqual([2]);
  });

  it('by several calls at once gives each event back once', async () => {
    await fill(30);
    const results = await Promise.all([1, 2, 3].map(() => parts.port.redrive(admin, whole, fast)));
    expect(results.reduce((sum, { redriven }) => sum + redriven, 0)).toBe(30);
    expect(await events()).toHaveLength(30);
  });
});

describe('redriving scheduled events that were never published', () => {
  /** Timers of two publishers that came too late, and one whose publisher had lost the right. */
  const timers = () =>
    parts.letters.bury(TENANT, [
      dying(1, { subscription: '', cause: 'late', attempts: 0, principal: 'user:ada' }),
      dying(2, { subscription: '', cause: 'forbidden', attempts: 0, principal: 'api-key:shop' }),
      dying(3, { subscription: '', cause: 'late', attempts: 0, principal: 'user:ada' }),
    ]);

  it('publishes each as it was, for everybody who wants it now, in the name of its publisher', async () => {
    site.publishers.set('ada', ['orders/#']).set('shop', ['orders/new']);
    await timers();
    const originals = (await parts.port.list(admin, {}, { size: 9, token: '' })).items;
    const result = await parts.port.redrive(admin, whole, fast);
    expect(result).toEqual({ redriven: 3, missing: 0, unmatched: 0, forbidden: 0, nextToken: '' });
    const stored = await events();
    expect(stored.map(({ event }) => event)).toEqual(originals.map(({ event }) => event));
    expect(stored.map(({ principal }) => principal)).toEqual(['ada', 'shop', 'ada']);
    expect(stored).toMatchObject([1, 2, 3].map(() => ({ destinations: ['east'], expiryMs: 0 })));
    for (const { handling } of stored) {
      expect(handling).toMatchObject({ onlySubscription: '', deliverAtMs: 0, latePolicy: 0 });
    }
    expect(await ids()).toEqual([]);
  });

  it('leaves those whose publisher may not publish today, or is no longer known', async () => {
    site.publishers.set('ada', ['invoices/#']);
    await timers();
    const result = await parts.port.redrive(admin, whole, fast);
    expect(result).toEqual({ redriven: 0, missing: 0, unmatched: 0, forbidden: 3, nextToken: '' });
    expect(await events()).toEqual([]);
    expect(await ids()).toEqual([1, 2, 3]);
  });

  it('publishes nothing while acl cannot tell', async () => {
    site.publishers.set('ada', ['#']).set('shop', ['#']);
    site.aclAway = true;
    await timers();
    await expect(parts.port.redrive(admin, whole, fast)).rejects.toMatchObject({
      code: 'Unavailable',
    });
    expect(await events()).toEqual([]);
    expect(await ids()).toEqual([1, 2, 3]);
  });

  it('is not for who may only receive their topic', async () => {
    site.publishers.set('ada', ['#']).set('shop', ['#']);
    await timers();
    const reader = caller('reader', { subscribe: ['#'] });
    expect(await parts.port.redrive(reader, whole, fast)).toMatchObject({ forbidden: 3 });
    const writer = caller('writer', { subscribe: ['#'], publish: ['orders/#'] });
    expect(await parts.port.redrive(writer, whole, fast)).toMatchObject({ redriven: 3 });
  });

  it('stores an event once when the emesher died before it could settle the letter', async () => {
    site.publishers.set('ada', ['#']).set('shop', ['#']);
    await timers();
    const { commitCursors } = site.store;
    site.store.commitCursors = () => Promise.reject(new Error('killed'));
    await expect(parts.port.redrive(admin, whole, fast)).rejects.toThrow();
    site.store.commitCursors = commitCursors.bind(site.store);
    expect(await ids()).toEqual([1, 2, 3]);
    await site.emesher('a').port.redrive(admin, whole, fast);
    expect(await events()).toHaveLength(3);
    expect(await ids()).toEqual([]);
  });

  it('settles no letter while the events cannot be stored', async () => {
    site.publishers.set('ada', ['#']).set('shop', ['#']);
    await timers();
    site.refusal = () => new MeshError('Unavailable', 'the store is away');
    await expect(parts.port.redrive(admin, whole, fast)).rejects.toThrow('the store is away');
    expect(await ids()).toEqual([1, 2, 3]);
  });

  it('goes together with those of subscriptions', async () => {
    site.publishers.set('ada', ['#']).set('shop', ['#']);
    await timers();
    await parts.letters.bury(TENANT, [dying(9)]);
    expect(await parts.port.redrive(admin, whole, fast)).toMatchObject({ redriven: 4 });
    const stored = await events();
    expect(stored.map(({ handling }) => handling.onlySubscription).sort()).toEqual([
      '',
      '',
      '',
      'billing',
    ]);
  });
});

describe('purging', () => {
  it('forgets what is selected for good, also after a restart', async () => {
    await fill(6);
    expect(await parts.port.purge(admin, { cause: 'worse' }, now)).toEqual({
      purged: 3,
      nextToken: '',
    });
    const again = site.emesher('b').port;
    expect(await ids(admin, {}, again)).toEqual([1, 3, 5]);
    await expect(again.get(admin, 2)).rejects.toMatchObject({ code: 'NotFound' });
    expect(site.audited).toMatchObject([{ action: 'purge-dead-letters', resource: '#' }]);
  });

  it('frees the store as far as everything in front is settled', async () => {
    await fill(6);
    await parts.port.purge(admin, { ids: [1, 2, 4] }, now);
    const info = await site.store.logInfo(`dead.${TENANT}`);
    expect(info?.partitions[0]?.first).toBe(3);
    expect(await parts.port.status(admin)).toMatchObject({ count: 3 });
    await parts.port.purge(admin, whole, now);
    expect(await parts.port.status(admin)).toMatchObject({ count: 0, bytes: 0 });
  });

  it.each([
    [{}, 'selection'],
    [{ all: true, cause: 'bad' }, 'selection.all'],
  ])(
    'of %j is refused: nobody forgets everything by leaving something out',
    async (which, field) => {
      await fill(1);
      await expect(parts.port.purge(admin, which, now)).rejects.toMatchObject({
        details: { field },
      });
      await expect(parts.port.redrive(admin, which, fast)).rejects.toMatchObject({
        details: { field },
      });
      expect(await ids()).toEqual([1]);
    },
  );
});

describe('letters that are too old', () => {
  it('are dropped, and do not count any more', async () => {
    const short = site.emesher('a', { retention: '1h' });
    await short.letters.bury(TENANT, [dying(1), dying(2)]);
    await short.port.purge(admin, { ids: [2] }, now);
    site.nowMs += 2 * 3_600_000;
    await short.letters.bury(TENANT, [dying(3)]);
    // The store drops by age when it looks, here at once.
    await site.store.trim(`dead.${TENANT}`, 0, 3);
    expect(await ids(admin, {}, short.port)).toEqual([3]);
    expect(await short.port.status(admin)).toMatchObject({ count: 1 });
  });
});
