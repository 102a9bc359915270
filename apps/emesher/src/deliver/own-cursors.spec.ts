import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { checkSubscription, type Subscription } from '@eventmesh/delivery';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir, type TempDir } from '@eventmesh/testing';
import { claimCursors, loadCursors } from './own-cursors.ts';

const LOG = 'acme';
const SUBSCRIPTION: Subscription = {
  ...checkSubscription({ name: 'work', topicFilters: ['#'], start: { kind: 'earliest' } }),
  tenant: 'acme',
  owner: 'user:a',
  site: 'west',
  createdMs: 0,
  revision: 1,
  broadcastOf: '',
};

let dir: TempDir;
let store: EventStore;

beforeEach(async () => {
  dir = tempDir('own-cursors');
  store = await openEmbeddedStore({ dir: dir.path });
  const keep = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
  await store.ensureLog({ name: LOG, partitions: 2, ...keep });
});

afterEach(async () => {
  await store.close();
  dir.remove();
});

const id = (partition: number) => ({ log: LOG, partition, subscription: 'work' });

/** What an owner of this epoch would write after some progress. */
const write = (epoch: number, floor: number) =>
  store.commitCursors([
    { id: id(0), cursor: { floor, settled: [], epoch, state: new Uint8Array(0) } },
  ]);

describe('an owner that takes a subscription over', () => {
  it('fences the former one before it has done anything else', async () => {
    await claimCursors(store, LOG, SUBSCRIPTION, 1, await loadCursors(store, LOG, SUBSCRIPTION, 2));
    expect(await write(1, 5)).toEqual([]);
    const found = await loadCursors(store, LOG, SUBSCRIPTION, 2);
    expect(found.map(({ floor }) => floor)).toEqual([5, 1]);
    await claimCursors(store, LOG, SUBSCRIPTION, 2, found);
    expect(await write(1, 9)).toEqual([0]);
    expect(await store.loadCursor(id(0))).toMatchObject({ floor: 5, epoch: 2 });
  });

  it('is refused when a newer one was faster', async () => {
    const found = await loadCursors(store, LOG, SUBSCRIPTION, 2);
    await claimCursors(store, LOG, SUBSCRIPTION, 3, found);
    await expect(claimCursors(store, LOG, SUBSCRIPTION, 2, found)).rejects.toMatchObject({
      code: 'Aborted',
      reason: 'FENCED',
    });
  });

  it('begins at the first position of a partition that came later, wherever the subscription began', async () => {
    const latest: Subscription = { ...SUBSCRIPTION, start: { kind: 'latest' } };
    await store.append({ log: LOG, partition: 1, records: [{ bytes: Buffer.from('new') }] });
    await write(1, 5);
    const found = await loadCursors(store, LOG, latest, 2);
    expect(found.map(({ floor }) => floor)).toEqual([5, 1]);
  });

  it('finds no cursors for an ephemeral one, whatever another of its name has left', async () => {
    await write(1, 5);
    const ephemeral: Subscription = { ...SUBSCRIPTION, ephemeral: true };
    const found = await loadCursors(store, LOG, ephemeral, 2);
    expect(found.map(({ floor, epoch }) => [floor, epoch])).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });
});
