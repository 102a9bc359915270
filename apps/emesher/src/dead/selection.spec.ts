import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DeadSite, TENANT, caller, dying } from './test/dead-site.ts';
import type { DeadParts } from './index.ts';

const admin = caller('admin', { admin: ['#'], inspect: ['#'] });
let site: DeadSite;
let parts: DeadParts;

beforeEach(async () => {
  site = new DeadSite();
  await site.open();
  const broadcast = { mode: 'broadcast' } as const;
  site.subscribe('news', 'user:owner', broadcast);
  site.subscribe('news:one', 'user:owner', { broadcastOf: 'news' });
  site.subscribe('news:two', 'user:owner', { broadcastOf: 'news' });
  site.subscribe('newsletter');
  parts = site.emesher('a');
  const names = ['news:one', 'newsletter', 'news:two', 'news:left', ''];
  const letters = names.map((subscription, n) => dying(n + 1, { subscription }));
  await parts.letters.bury(TENANT, letters);
});
afterEach(() => site.close());

const ids = async (selection: { subscription?: string } = {}, size = 9) => {
  const { items } = await parts.port.list(admin, selection, { size, token: '' });
  return items.map(({ id }) => id);
};

describe('a selection by the name of', () => {
  it.each([
    ['news', [1, 3, 4]],
    ['news:one', [1]],
    ['news:', []],
    ['new', []],
    ['newsletter', [2]],
    ['', [5]],
  ])('%j means the letters of it and of its parts', async (subscription, expected) => {
    expect(await ids({ subscription })).toEqual(expected);
  });

  it('a broadcast groups, redrives and purges those of its parts', async () => {
    const selection = { subscription: 'news' };
    expect(await parts.port.groups(admin, selection)).toMatchObject([
      { subscription: 'news:one', count: 1, subscriptionGone: false },
      { subscription: 'news:two', count: 1, subscriptionGone: false },
      { subscription: 'news:left', count: 1, subscriptionGone: true },
    ]);
    // Each to the part that gave it up; the one whose consumer is gone for good stays.
    const done = await parts.port.redrive(admin, selection, { rateMax: 0, token: '' });
    expect(done).toMatchObject({ redriven: 2, missing: 1 });
    expect(await ids()).toEqual([2, 4, 5]);
    expect(await parts.port.purge(admin, selection, { token: '' })).toMatchObject({ purged: 1 });
    expect(await ids()).toEqual([2, 5]);
  });
});
