import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { systemClock } from '@eventmesh/kv-api';
import { Member_Kind, type RegistryService } from '@eventmesh/proto-gen/registry';
import type { Client } from '@eventmesh/rpc';
import { eventually } from '@eventmesh/testing';
import { TestSite } from './site.ts';

let site: TestSite;

beforeAll(async () => {
  site = await TestSite.start('west', []);
});

afterAll(() => site.remove());

const join = async (id: string, client = site.client, ttlMs = 60_000n) => {
  const { leaseId } = await client.join({ member: { id, kind: Member_Kind.EMESHER }, ttlMs });
  return { memberId: id, leaseId };
};

const acquire = async (
  client: Client<typeof RegistryService>,
  name: string,
  member: { memberId: string; leaseId: string },
): Promise<bigint | MeshError> => {
  try {
    return (await client.acquire({ name, ...member })).epoch;
  } catch (error) {
    return MeshError.from(error);
  }
};

describe('ownership', () => {
  it('of two members that race for a name exactly one wins, on any replica', async () => {
    const other = await site.replica();
    const a = await join('race-a');
    const b = await join('race-b', other.client);
    for (let round = 1; round <= 20; round++) {
      const name = `subscription/acme/s${round % 2}`;
      const answers = await Promise.all([
        acquire(site.client, name, a),
        acquire(other.client, name, b),
        acquire(site.client, name, b),
      ]);
      const epochs = answers.filter((answer) => typeof answer === 'bigint');
      const refusals = answers.filter((answer) => answer instanceof MeshError);
      expect(new Set(epochs)).toEqual(new Set([BigInt(Math.ceil(round / 2))]));
      for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'Aborted' });
      const owners = new Set([
        ...(typeof answers[0] === 'bigint' ? ['race-a'] : []),
        ...(answers.slice(1).some((answer) => typeof answer === 'bigint') ? ['race-b'] : []),
      ]);
      const { owner, epoch } = await site.client.getOwner({ name });
      expect([...owners]).toEqual([owner?.id]);
      expect(epoch).toBe(BigInt(Math.ceil(round / 2)));
      await site.client.release({ name, leaseId: owner?.id === 'race-a' ? a.leaseId : b.leaseId });
    }
    await other.stop();
  });

  it('the same owner keeps its epoch, another one is refused and told who it is', async () => {
    const a = await join('keep-a');
    const b = await join('keep-b');
    expect(await acquire(site.client, 'link/east', a)).toBe(1n);
    expect(await acquire(site.client, 'link/east', a)).toBe(1n);
    const refused = await acquire(site.client, 'link/east', b);
    expect(refused).toMatchObject({
      code: 'Aborted',
      reason: 'OWNED',
      details: { facts: { owner: 'keep-a', epoch: '1' } },
    });
    await site.client.release({ name: 'link/east', leaseId: b.leaseId });
    expect((await site.client.getOwner({ name: 'link/east' })).owner?.id).toBe('keep-a');
  });

  it('a new owner after a lost lease gets a higher epoch, also after a restart', async () => {
    const name = 'subscription/acme/moves';
    const a = await join('move-a');
    expect(await acquire(site.client, name, a)).toBe(1n);
    await site.client.leave({ leaseId: a.leaseId });
    expect(await site.client.getOwner({ name })).toMatchObject({ epoch: 1n });
    expect(await acquire(site.client, name, a)).toMatchObject({ reason: 'LEASE_NOT_FOUND' });
    const b = await join('move-b');
    await site.down();
    await site.up();
    expect(await acquire(site.client, name, b)).toBe(2n);
    await site.client.leave({ leaseId: b.leaseId });
    const c = await join('move-c');
    expect(await acquire(site.client, name, c)).toBe(3n);
  });

  it('a lease is renewed by any replica, and after a restart', async () => {
    const a = await join('renew-a');
    const other = await site.replica();
    expect(await other.client.keepAlive({ leaseId: a.leaseId })).toMatchObject({ ttlMs: 60_000n });
    await other.stop();
    await site.down();
    await site.up();
    expect(await site.client.keepAlive({ leaseId: a.leaseId })).toMatchObject({ ttlMs: 60_000n });
    const again = site.client.join({ member: { id: 'renew-a', kind: Member_Kind.EMESHER } });
    await expect(again).rejects.toMatchObject({ code: 'AlreadyExists' });
  });

  it('a lease of somebody else, a wrong member or an empty name is refused', async () => {
    const a = await join('wrong-a');
    expect(await acquire(site.client, '', a)).toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'name' },
    });
    const wrong = { memberId: 'wrong-b', leaseId: a.leaseId };
    expect(await acquire(site.client, 'x', wrong)).toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'member_id' },
    });
  });

  it('a name that nobody owns for long leaves nothing behind, and its next owner a higher epoch', async () => {
    const name = 'subscription/acme/gone';
    const key = `registry/west/ownership/epochs/${name}`;
    /** Looks for idle names that are due in ten minutes. */
    const looks: (() => void)[] = [];
    const replica = await site.replica(0, [], {
      now: systemClock.now,
      setTimer: (delayMs, run) => {
        if (delayMs < 600_000) return systemClock.setTimer(delayMs, run);
        looks.push(run);
        return () => undefined;
      },
    });
    const member = await join('gone-a');
    const { epoch: before } = await site.client.acquire({ name, ...member });
    await site.client.release({ name, leaseId: member.leaseId });
    expect(await site.kv.get(key)).toBeDefined();
    for (let look = 0; look < 2; look++) {
      await eventually(() => expect(looks.length).toBeGreaterThan(look));
      looks[look]?.();
    }
    await eventually(() => expect(looks.length).toBeGreaterThan(2));
    expect(await site.kv.get(key)).toBeUndefined();
    expect((await site.client.acquire({ name, ...member })).epoch).toBeGreaterThan(before);
    await replica.stop();
  });
});
