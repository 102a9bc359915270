import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DeadSite, TENANT, caller, dying } from './test/dead-site.ts';
import type { DeadParts } from './index.ts';

const admin = caller('admin', { admin: ['#'], inspect: ['#'] });
const owner = 'user:owner';
let site: DeadSite;
let parts: DeadParts;

beforeEach(async () => {
  site = new DeadSite();
  await site.open();
  parts = site.emesher('a');
});
afterEach(() => site.close());

/** The runner's way of giving one event up. */
async function giveUp(createdMs: number, reason: string): Promise<void> {
  const { record } = dying(1);
  const subscription = site.subscribe('billing', owner, { createdMs });
  site.nowMs++;
  await parts.letters.write(subscription, [
    { partition: 0, position: 7, record, attempts: 1, reason },
  ]);
}

const list = async () => (await parts.port.list(admin, {}, { size: 9, token: '' })).items;

describe('a subscription that was made again under the name of a deleted one', () => {
  it('has letters of its own, for the same event, too', async () => {
    await giveUp(100, 'no such customer');
    await giveUp(100, 'after a crash, for the same letter');
    await giveUp(200, 'database down');
    expect(await list()).toMatchObject([
      { cause: 'no such customer', subscriptionCreatedMs: 100, subscriptionGone: true },
      { cause: 'database down', subscriptionCreatedMs: 200, subscriptionGone: false },
    ]);
    expect(await parts.port.get(admin, 1)).toMatchObject({ subscriptionGone: true });
    expect(await parts.port.status(admin)).toMatchObject({ count: 2 });
  });

  it('is told apart from the old one in groups', async () => {
    await giveUp(100, 'database down');
    await giveUp(200, 'database down');
    expect(await parts.port.groups(admin, { subscription: 'billing' })).toMatchObject([
      { subscription: 'billing', subscriptionGone: true, count: 1 },
      { subscription: 'billing', subscriptionGone: false, count: 1 },
    ]);
  });

  it('is known by when it was made, whatever is changed of it', async () => {
    await giveUp(100, 'first');
    site.subscribe('billing', owner, { createdMs: 100, revision: 9, topicFilters: ['#'] });
    expect(await list()).toMatchObject([{ subscriptionGone: false }]);
  });
});

describe('letters', () => {
  it('of a deleted subscription say so', async () => {
    await giveUp(100, 'first');
    site.subscriptions.clear();
    expect(await list()).toMatchObject([{ subscription: 'billing', subscriptionGone: true }]);
  });

  it('of no subscription do not', async () => {
    const none = { subscription: '', subscriptionCreatedMs: 0 };
    await parts.letters.bury(TENANT, [dying(1, none)]);
    expect(await list()).toMatchObject([{ ...none, subscriptionGone: false }]);
  });

  it('that do not tell when their subscription was made count to the one that is there', async () => {
    await parts.letters.bury(TENANT, [dying(1, { subscriptionCreatedMs: 0 })]);
    site.subscribe('billing', owner, { createdMs: 200 });
    expect(await list()).toMatchObject([{ subscriptionGone: false }]);
  });
});
