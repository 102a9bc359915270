import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { ResumePointSchema } from '@eventmesh/proto-gen/link';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { tempDir } from '@eventmesh/testing';
import { keptBy } from './read-on.ts';
import { recordAt } from './test/record-at.ts';

const LOG = 'events.t';
const dir = tempDir('read-on');
let store: EventStore;

beforeAll(async () => {
  store = await openEmbeddedStore({ dir: dir.path });
  const spec = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
  await store.ensureLog({ name: LOG, partitions: 1, ...spec });
  for (let n = 1; n <= 10; n++) {
    await store.append({ log: LOG, partition: 0, records: [recordAt(n * 100)] });
  }
});

afterAll(async () => {
  await store.close();
  dir.remove();
});

const point = (last: number, upTo: number, ingressTimeUs: number) =>
  create(ResumePointSchema, {
    tenant: 't',
    partition: 0,
    last: BigInt(last),
    passed: { upTo: BigInt(upTo), ingressTimeUs: BigInt(ingressTimeUs) },
  });

describe('what a neighbour keeps of a log', () => {
  it.each([
    ['counts while the log has that record', point(2, 7, 700), 7],
    ['counts up to the last record', point(0, 10, 1000), 10],
    ['does not count where the log has another record there', point(2, 7, 650), undefined],
    ['does not count behind the end of the log', point(2, 11, 1100), undefined],
    ['says nothing where it does not go behind the last record', point(7, 7, 700), undefined],
    ['is not there with a neighbour that keeps nothing', create(ResumePointSchema), undefined],
  ])('%s', async (_, given, upTo) => {
    expect((await keptBy(store, LOG, given))?.upTo).toBe(upTo);
  });

  it('counts where the log no longer has the place', async () => {
    await store.trim(LOG, 0, 6);
    expect((await keptBy(store, LOG, point(2, 4, 4)))?.upTo).toBe(4);
    expect((await keptBy(store, LOG, point(2, 7, 650)))?.upTo).toBeUndefined();
  });
});
