import { describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { mirror } from '@eventmesh/kv-api';
import { bytes, put, Recording, text, type Suite } from './suite.ts';
import { eventually } from '../eventually.ts';

export function describeConnectionLoss(suite: Suite): void {
  const cut = () => {
    if (suite.under.cut === undefined) throw new Error('connection-loss is claimed, not given');
    suite.under.cut();
  };
  const heal = () => suite.under.heal?.();

  describe('without its connection', () => {
    it('a watch goes on where it was, without gap or repetition', async () => {
      const { kv, other } = suite.under;
      const space = suite.space();
      const from = (await suite.revision()) + 1;
      const recording = new Recording(kv, space, from);
      const revisions = [await put(other, `${space}k`, '0')];
      await eventually(() => expect(recording.revisions).toEqual(revisions));
      for (const round of [1, 2]) {
        cut();
        await eventually(() => expect(recording.connection.at(-1)).toBe('disconnected'));
        for (let i = 0; i < 5; i += 1)
          revisions.push(await put(other, `${space}k`, `${round}.${i}`));
        expect(recording.revisions).toHaveLength(revisions.length - 5);
        heal();
        await eventually(() => expect(recording.revisions).toEqual(revisions));
        expect(recording.connection.at(-1)).toBe('connected');
        revisions.push(await put(other, `${space}k`, 'live'));
        await eventually(() => expect(recording.revisions).toEqual(revisions));
      }
      await recording.stop();
    });

    it('a watch whose revisions were compacted meanwhile says so and ends', async () => {
      const { kv, other, compact } = suite.under;
      const space = suite.space();
      const recording = new Recording(kv, space, (await suite.revision()) + 1);
      await put(other, `${space}k`, '0');
      await eventually(() => expect(recording.events).toHaveLength(1));
      cut();
      await eventually(() => expect(recording.connection.at(-1)).toBe('disconnected'));
      await put(other, `${space}k`, '1');
      await compact(await put(other, `${space}k`, '2'));
      heal();
      await recording.ended;
      expect(recording.events.slice(1)).toEqual(['compacted']);
    });

    it('a mirror shows the last state as old, then catches up', async () => {
      const { kv, other } = suite.under;
      const space = suite.space();
      await put(other, `${space}k`, 'before');
      const map = mirror(kv, space, (value) => text(value), { onError: () => undefined });
      await map.ready;
      cut();
      await eventually(() => expect(map.connected).toBe(false));
      expect(map.disconnectedSinceMs).toBeLessThanOrEqual(Date.now());
      const revision = await put(other, `${space}k`, 'after');
      expect(map.get(`${space}k`)?.value).toBe('before');
      heal();
      await map.reached(revision);
      expect(map.get(`${space}k`)?.value).toBe('after');
      expect(map.connected).toBe(true);
      await map.close();
    });

    it('calls fail as retryable within their time, and work again after', async () => {
      const { kv } = suite.under;
      const key = `${suite.space()}k`;
      cut();
      const started = performance.now();
      for (const call of [kv.get(key), kv.put(key, bytes('x')), kv.ping(), kv.range(key)]) {
        const error = await call.then(
          () => undefined,
          (e: unknown) => e,
        );
        expect(error).toBeInstanceOf(MeshError);
        expect(['Unavailable', 'DeadlineExceeded']).toContain((error as MeshError).code);
        expect((error as MeshError).retryable).toBe(true);
      }
      expect(performance.now() - started).toBeLessThan(10_000);
      heal();
      await eventually(() => put(kv, key, 'back'));
      expect(text((await kv.get(key))?.value)).toBe('back');
    });

    it('a watch that is aborted meanwhile ends', async () => {
      const recording = new Recording(suite.under.kv, suite.space(), (await suite.revision()) + 1);
      await eventually(() => expect(recording.connection).toEqual(['connected']));
      cut();
      await eventually(() => expect(recording.connection.at(-1)).toBe('disconnected'));
      await recording.stop();
      heal();
      await eventually(() => suite.kv.ping());
    });
  });
}

export function describeRestart(suite: Suite): void {
  describe('after a restart', () => {
    it('the values, revisions, history and leases are what they were', async () => {
      const space = suite.space();
      const key = `${space}k`;
      const first = await put(suite.kv, key, '1');
      const second = await put(suite.kv, key, '2');
      const lease = await suite.kv.grantLease(60_000);
      const third = await put(suite.kv, `${space}leased`, '3', lease.id);
      await suite.restart();
      expect(await suite.kv.get(key)).toMatchObject({ createRevision: first, modRevision: second });
      expect(await suite.kv.get(`${space}leased`)).toMatchObject({ lease: lease.id });
      const recording = new Recording(suite.kv, space, first);
      await eventually(() => expect(recording.revisions).toEqual([first, second, third]));
      await recording.stop();
      expect(await put(suite.kv, `${space}again`, '4', lease.id)).toBe(third + 1);
    });

    it('a lease still ends, with its keys', async () => {
      const key = `${suite.space()}k`;
      const lease = await suite.kv.grantLease(suite.under.leaseTtlMs);
      await put(suite.kv, key, 'x', lease.id);
      await suite.restart();
      await eventually(async () => expect(await suite.kv.get(key)).toBeUndefined(), {
        timeoutMs: 15_000,
      });
    });
  });
}
