import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { PassedSchema } from '@eventmesh/proto-gen/link';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { Marks, keptMark } from './marks.ts';

const logger = createLogger({ level: 'silent', service: 'test', site: 'east' });
const ID = { log: 'events.t', partition: 0, subscription: 'link/west/0' };
let dir: TempDir;
let store: EventStore;

beforeEach(async () => {
  dir = tempDir('marks');
  store = await openEmbeddedStore({ dir: dir.path });
  const spec = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
  await store.ensureLog({ name: ID.log, partitions: 1, ...spec });
});
afterEach(async () => {
  await store.close();
  dir.remove();
});

const onFenced = () => expect('fenced').toBe('not fenced');

const mark = (last: number, upTo: number) => ({
  id: ID,
  epoch: 1,
  last,
  passed: create(PassedSchema, { upTo: BigInt(upTo) }),
  seen: [{ position: last, ingressTimeUs: last * 100 }],
});
const keptUpTo = async (last: number) => {
  const { passed } = await keptMark({ store, logger }, ID, last);
  return passed === undefined ? undefined : Number(passed.upTo);
};

describe('the marks of a link', () => {
  it('count while the record that they stand behind is the last one stored', async () => {
    const marks = new Marks({ store, logger, onFenced, progressInterval: 1 });
    expect(await keptUpTo(0)).toBeUndefined();
    let written = 0;
    marks.note(mark(9, 20), () => written++);
    await eventually(() => expect(written).toBe(1));
    expect(await keptUpTo(9)).toBe(20);
    // Records brought back from an older copy, and records that came since.
    expect(await keptUpTo(5)).toBeUndefined();
    expect(await keptUpTo(25)).toBeUndefined();
    const { seen } = await keptMark({ store, logger }, ID, 25);
    expect(seen).toEqual([{ position: 9, ingressTimeUs: 900 }]);
    await marks.close();
  });

  it('are written together, at most once in the interval, and the rest at the end', async () => {
    const writes: number[] = [];
    const counting = new Proxy(store, {
      get: (target, name) => {
        if (name !== 'commitCursors') return Reflect.get(target, name, target) as unknown;
        return (...args: Parameters<EventStore['commitCursors']>) => {
          writes.push(args[0].length);
          return target.commitCursors(...args);
        };
      },
    });
    const marks = new Marks({ store: counting, logger, onFenced, progressInterval: 3_600_000 });
    const written: number[] = [];
    marks.note(mark(1, 2), () => written.push(2));
    await eventually(() => expect(written).toEqual([2]));
    for (let upTo = 3; upTo < 50; upTo++) marks.note(mark(1, upTo), () => written.push(upTo));
    marks.note({ ...mark(1, 7), id: { ...ID, subscription: 'link/west/1' } }, () =>
      written.push(7),
    );
    expect(written).toEqual([2]);
    await marks.close();
    expect(written).toEqual([2, 49, 7]);
    expect(writes).toEqual([1, 2]);
    marks.note(mark(1, 60), () => written.push(60));
    expect(await keptUpTo(1)).toBe(49);
  });

  it('are done without where they cannot be read', async () => {
    const state = Buffer.from('no mark');
    await store.commitCursors([{ id: ID, cursor: { floor: 1, settled: [], epoch: 0, state } }]);
    expect(await keptUpTo(1)).toBeUndefined();
  });
});
