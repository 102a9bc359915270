import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir } from '@eventmesh/testing';
import { findCopies, readCopies, type Wanted } from './find-event.ts';

const dir = tempDir('find-event');
const logs = { name: (tenant: string) => `events.${tenant}` };
const at = (position: number) => ({ partition: 0, position });
const wanted = (id: string, source?: string): Wanted => ({ tenant: 't', id, source });
let store: EventStore;

beforeAll(async () => {
  store = await openEmbeddedStore({ dir: dir.path, now: Date.now });
  const log = logs.name('t');
  const options = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
  await store.ensureLog({ name: log, partitions: 1, ...options });
  const records = ['a /s', 'b /s', 'a /r', 'c /s'].map((text) => ({ bytes: record(text) }));
  await store.append({ log, partition: 0, records });
});
afterAll(async () => {
  await store.close();
  dir.remove();
});

function record(text: string): Buffer {
  const [id = '', source = ''] = text.split(' ');
  const head = {
    tenant: 't',
    topic: `topics/${id}`,
    principal: 'p',
    originSite: 'west',
    destinations: [],
    ingressTimeUs: 1,
    hops: [],
  };
  return encodeRecord(head, encodeEvent({ id, source, type: 't', attributes: [] }));
}

describe('where a fingerprint leads', () => {
  it('is read and compared: another event of the same fingerprint is not taken for it', async () => {
    const all = [at(1), at(2), at(3), at(4)];
    const found = async (event: Wanted) =>
      (await readCopies({ store, logs }, event, all)).map(({ position }) => position);
    expect(await found(wanted('a'))).toEqual([1, 3]);
    expect(await found(wanted('a', '/r'))).toEqual([3]);
    expect(await found(wanted('b', '/r'))).toEqual([]);
    const [copy] = await readCopies({ store, logs }, wanted('b'), all);
    expect(copy).toMatchObject({ ...at(2), source: '/s', topic: 'topics/b' });
  });

  it('is told of without a record when there is none to compare with', async () => {
    const copies = await readCopies({ store, logs }, wanted('a', '/s'), [at(99)]);
    expect(copies).toEqual([{ ...at(99), source: '/s', topic: '', record: undefined }]);
  });

  it('is looked for in the store when it leads nowhere, and how far is said', async () => {
    const deps = { site: 'west', store, logs, scanMax: 3 };
    const known = await findCopies(deps, wanted('c'), [at(4)]);
    expect([known.copies.length, known.searches]).toEqual([1, []]);
    const { copies, searches } = await findCopies(deps, wanted('a'), [at(2)]);
    expect(copies.map(({ position }) => position)).toEqual([3]);
    expect(searches).toEqual([{ site: 'west', partition: 0, from: 2, to: 4, first: 1 }]);
  });
});
