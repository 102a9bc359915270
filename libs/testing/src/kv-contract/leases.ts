import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { KV_LEASE_TTL_MS_MAX } from '@eventmesh/kv-api';
import { bytes, expectCode, put, Recording, type Suite } from './suite.ts';
import { eventually } from '../eventually.ts';

export function describeLeases(suite: Suite): void {
  describe('leases', () => {
    it('take all their keys with them in one revision when they run out', async () => {
      const space = suite.space();
      const lease = await suite.kv.grantLease(suite.under.leaseTtlMs);
      expect(lease.ttlMs).toBeGreaterThanOrEqual(suite.under.leaseTtlMs);
      await put(suite.kv, `${space}a`, 'x', lease.id);
      const last = await put(suite.kv, `${space}b`, 'x', lease.id);
      await put(suite.kv, `${space}kept`, 'x');
      expect(await suite.kv.get(`${space}a`)).toMatchObject({ lease: lease.id });
      const recording = new Recording(suite.kv, space, last + 2);
      await eventually(() => expect(recording.events).toHaveLength(1), { timeoutMs: 15_000 });
      expect(recording.events[0]).toMatch(new RegExp(` -${space}a -${space}b$`));
      await recording.stop();
      expect((await suite.kv.range(space)).entries.map(({ key }) => key)).toEqual([`${space}kept`]);
    });

    it('do not take a key that was written again without them', async () => {
      const space = suite.space();
      const lease = await suite.kv.grantLease(60_000);
      await put(suite.kv, `${space}detached`, 'x', lease.id);
      await put(suite.kv, `${space}detached`, 'y');
      await put(suite.kv, `${space}attached`, 'x', lease.id);
      await lease.revoke();
      await lease.revoke();
      expect((await suite.kv.range(space)).entries.map(({ key }) => key)).toEqual([
        `${space}detached`,
      ]);
    });

    it('live on while they are kept alive, and end when that stops', async () => {
      const key = `${suite.space()}k`;
      const lease = await suite.kv.grantLease(suite.under.leaseTtlMs);
      const keepAlive = lease.keepAlive((reason) => {
        throw reason;
      });
      await put(suite.kv, key, 'x', lease.id);
      // Real time must pass: nothing observable happens while a lease is kept alive.
      await sleep(lease.ttlMs * 1.8);
      expect(await suite.kv.get(key)).toBeDefined();
      keepAlive.stop();
      keepAlive.stop();
      await eventually(async () => expect(await suite.kv.get(key)).toBeUndefined(), {
        timeoutMs: 15_000,
      });
    });

    it('tell their holder once when they were ended by somebody else', async () => {
      const key = `${suite.space()}k`;
      const lease = await suite.kv.grantLease(suite.under.leaseTtlMs);
      const lost: Error[] = [];
      lease.keepAlive((reason) => lost.push(reason));
      await put(suite.kv, key, 'x', lease.id);
      await suite.under.other.lease(lease.id, lease.ttlMs).revoke();
      await eventually(() => expect(lost).toHaveLength(1), { timeoutMs: 15_000 });
      expect(lost[0]).toMatchObject({ code: 'NotFound' });
      expect(await suite.kv.get(key)).toBeUndefined();
    });

    it('refuse keys, renewals and transactions once they have ended', async () => {
      const key = `${suite.space()}k`;
      const lease = await suite.kv.grantLease(60_000);
      await lease.renew();
      await lease.revoke();
      const calls = [
        lease.renew(),
        suite.kv.put(key, bytes('x'), { lease: lease.id }),
        suite.kv.transact({ then: [{ type: 'put', key, value: bytes('x'), lease: lease.id }] }),
      ];
      for (const call of calls) {
        const error = await expectCode(call, 'NotFound');
        expect(error.reason).toBe('LEASE_NOT_FOUND');
      }
      expect(await suite.kv.get(key)).toBeUndefined();
    });

    it('serve another handle by their id', async () => {
      const key = `${suite.space()}k`;
      const lease = await suite.kv.grantLease(60_000);
      await put(suite.under.other, key, 'x', lease.id);
      const handle = suite.under.other.lease(lease.id, lease.ttlMs);
      await handle.renew();
      await handle.revoke();
      expect(await suite.kv.get(key)).toBeUndefined();
      await expectCode(lease.renew(), 'NotFound');
    });

    it.each([0, -5, 0.5, KV_LEASE_TTL_MS_MAX + 1])('refuse a time of %s ms', async (ttlMs) => {
      const error = await expectCode(suite.kv.grantLease(ttlMs), 'InvalidArgument');
      expect(error.details.field).toBe('ttlMs');
    });
  });
}
