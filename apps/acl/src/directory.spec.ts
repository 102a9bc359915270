import { afterEach, describe, expect, it } from '@jest/globals';
import type { MeshError } from '@eventmesh/errors';
import { openEmbeddedKv, type EmbeddedKv } from '@eventmesh/kv-embedded';
import { eventually, fakeClock, tempDir } from '@eventmesh/testing';
import { Changes } from './changes.ts';
import { Directory } from './directory.ts';

const clock = fakeClock();
const cost = { costLog2: 10, blockSize: 8, parallel: 1 };
const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function store(): Promise<EmbeddedKv> {
  const dir = tempDir('directory');
  stops.push(() => dir.remove());
  const kv = await openEmbeddedKv({ dir: dir.path });
  stops.push(() => kv.close());
  return kv;
}

async function replica(kv: EmbeddedKv) {
  const errors: MeshError[] = [];
  const directory = new Directory(kv, {
    clock,
    storeAwayMsMax: 10_000,
    onError: (error) => void errors.push(error),
  });
  await directory.start();
  stops.push(() => directory.close());
  return { directory, changes: new Changes(directory, cost, clock), errors };
}

describe('replicas of the directory on one store', () => {
  it('hold rules over many keys though they write at the same time', async () => {
    const kv = await store();
    const [a, b] = [await replica(kv), await replica(kv)];
    for (let n = 0; n < 10; n++) {
      const [x, y] = [`x${n}`, `y${n}`];
      const results = await Promise.allSettled([
        a.changes.assignRole({ tenant: '', subject: `role:${x}`, role: y }),
        b.changes.assignRole({ tenant: '', subject: `role:${y}`, role: x }),
      ]);
      // Either alone is fine; both together are a cycle.
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    }
  });

  it('lose no change that was acknowledged, and agree on the version', async () => {
    const kv = await store();
    const [a, b] = [await replica(kv), await replica(kv)];
    await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        (n % 2 === 0 ? a : b).changes.putPolicy({
          tenant: '',
          subject: 'user:ann',
          action: 'publish',
          filter: `t/${n}`,
          deny: false,
        }),
      ),
    );
    await eventually(() => expect(a.directory.version).toBe(b.directory.version));
    for (const { directory } of [a, b]) {
      expect(directory.rights.policiesOf('default', ['user:ann'])).toHaveLength(30);
    }
    expect([...a.errors, ...b.errors]).toEqual([]);
  });

  it('read their own writes at once', async () => {
    const { changes, directory } = await replica(await store());
    const version = await changes.assignRole({ tenant: 't', subject: 'user:ann', role: 'r' });
    expect(directory.version).toBe(version);
    expect(directory.rights.subjects('t', 'user:ann', ['extra'])).toEqual([
      'user:ann',
      'role:extra',
      'role:r',
    ]);
  });

  it('answer from memory while the store is away, for a bounded time', async () => {
    const kv = await store();
    const { directory } = await replica(kv);
    expect(directory.connected).toBe(true);
    await kv.close();
    await eventually(() => expect(directory.connected).toBe(false));
    expect(() => directory.checkFresh()).not.toThrow();
    await clock.advance(10_001);
    expect(() => directory.checkFresh()).toThrow(expect.objectContaining({ code: 'Unavailable' }));
  });
});
