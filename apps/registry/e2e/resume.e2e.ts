import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { loadConfig } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { openKv } from '@eventmesh/kv-open';
import { Member_Kind, type RegistryService } from '@eventmesh/proto-gen/registry';
import type { Client } from '@eventmesh/rpc';
import { startEtcd, tempDir, type RunningServer } from '@eventmesh/testing';
import { registryConfig } from '../src/index.ts';
import { OwnershipModel } from './ownership-model.ts';
import { TestSite } from './site.ts';

const TEST_MS = 120_000;

const dir = tempDir('registry-resume');
let etcd: RunningServer;
let site: TestSite;
/** Of two replicas: whatever is asked of one is true at the other. */
let replicas: readonly Client<typeof RegistryService>[];
let names = 0;

beforeAll(async () => {
  etcd = await startEtcd({ dir: dir.path });
  const { kv } = loadConfig(registryConfig, {
    value: { site: 'west', kv: { kind: 'etcd', etcd: { hosts: [etcd.url] } } },
  });
  site = await TestSite.start('west', [], {}, () => openKv(kv));
  replicas = [site.client, (await site.replica()).client];
}, TEST_MS);

afterAll(async () => {
  await site?.remove();
  await etcd?.stop();
  dir.remove();
});

const replica = (n: number): Client<typeof RegistryService> => replicas[n % 2] ?? site.client;

interface Joined {
  readonly memberId: string;
  readonly leaseId: string;
}

async function join(memberId: string): Promise<Joined> {
  const member = { id: memberId, kind: Member_Kind.EMESHER };
  const { leaseId } = await site.client.join({ member, ttlMs: 60_000n });
  return { memberId, leaseId };
}

/** The lease ends, as when nobody could renew it; the member is back under a new one. */
async function rejoin({ memberId, leaseId }: Joined): Promise<Joined> {
  await site.client.leave({ leaseId });
  return join(memberId);
}

/** The epoch, or why not. */
async function asked(by: Joined, name: string, resume = 0, at = 0): Promise<number | string> {
  try {
    const { epoch } = await replica(at).acquire({ name, ...by, resumeEpoch: BigInt(resume) });
    return Number(epoch);
  } catch (error) {
    return MeshError.from(error).reason ?? MeshError.from(error).code;
  }
}

async function setUp() {
  const name = `subscription/acme/s${++names}`;
  const a = await join(`a${names}`);
  const b = await join(`b${names}`);
  return { name, a, b };
}

const ownerOf = async (name: string) => {
  const { owner, epoch } = await site.client.getOwner({ name });
  return { owner: owner?.id, epoch: Number(epoch) };
};

describe('an ownership whose lease has ended', () => {
  it('is resumed with its epoch when nobody owned the name since, as often as it takes', async () => {
    const { name, a, b } = await setUp();
    expect(await asked(a, name)).toBe(1);
    let again = a;
    for (let n = 0; n < 3; n++) {
      again = await rejoin(again);
      expect(await ownerOf(name)).toEqual({ owner: undefined, epoch: 1 });
      expect(await asked(again, name, 1, n)).toBe(1);
      // As a call whose answer was lost is made again.
      expect(await asked(again, name, 1, n + 1)).toBe(1);
      expect(await ownerOf(name)).toEqual({ owner: a.memberId, epoch: 1 });
      expect(await asked(b, name)).toBe('OWNED');
    }
    await site.client.leave({ leaseId: again.leaseId });
    expect(await asked(b, name)).toBe(2);
  });

  it('is not resumed while another member owns the name, nor after one has', async () => {
    const { name, a, b } = await setUp();
    expect(await asked(a, name)).toBe(1);
    const again = await rejoin(a);
    expect(await asked(b, name)).toBe(2);
    expect(await asked(again, name, 1)).toBe('OWNED');
    await site.client.release({ name, leaseId: b.leaseId });
    expect(await asked(again, name, 1)).toBe('EPOCH_ENDED');
    expect(await ownerOf(name)).toEqual({ owner: undefined, epoch: 2 });
    expect(await asked(again, name)).toBe(3);
  });

  it('is not resumed by another member, nor by an epoch that was not given', async () => {
    const { name, a, b } = await setUp();
    expect(await asked(b, name, 1)).toBe('EPOCH_ENDED');
    expect(await asked(a, name)).toBe(1);
    const again = await rejoin(a);
    expect(await asked(b, name, 1)).toBe('EPOCH_ENDED');
    expect(await asked(again, name, 2)).toBe('EPOCH_ENDED');
    expect(await asked(a, name, 1)).toBe('LEASE_NOT_FOUND');
    expect(await asked(again, name, 1)).toBe(1);
  });

  it('is not resumed by a request that arrives after its member has given the name up', async () => {
    const { name, a } = await setUp();
    expect(await asked(a, name)).toBe(1);
    await site.client.release({ name, leaseId: a.leaseId });
    expect(await asked(a, name, 1)).toBe('EPOCH_ENDED');
    expect(await asked(a, name)).toBe(2);
    const again = await rejoin(a);
    // It owns nothing under this lease, and will not.
    await site.client.release({ name, leaseId: again.leaseId });
    expect(await asked(again, name, 2, 1)).toBe('EPOCH_ENDED');
    expect(await asked(again, name)).toBe(3);
  });

  it('is not resumed when a registry that knows no holders gave the name to another one', async () => {
    const { name, a, b } = await setUp();
    expect(await asked(a, name)).toBe(1);
    const again = await rejoin(a);
    await site.kv.put(`registry/west/ownership/epochs/${name}`, new TextEncoder().encode('2'));
    expect(await asked(again, name, 1)).toBe('EPOCH_ENDED');
    expect(await asked(again, name, 2)).toBe('EPOCH_ENDED');
    expect(await asked(b, name)).toBe(3);
  });

  it(
    'and others that want the name race: one wins, by a new epoch or with the old one',
    async () => {
      const { name, a, b } = await setUp();
      const c = await join(`c${names}`);
      const turns = fc.shuffledSubarray(['resume', 'resume again', 'b', 'c'] as const, {
        minLength: 2,
      });
      let former = await rejoin(a);
      let epoch = Number(await asked(former, name));
      await fc.assert(
        fc.asyncProperty(turns, fc.nat(1), async (order, first) => {
          former = await rejoin(former);
          const by = { resume: former, 'resume again': former, b, c };
          const answers = await Promise.all(
            order.map(async (who, n) => {
              const resume = by[who] === former ? epoch : 0;
              return { who, answer: await asked(by[who], name, resume, first + n) };
            }),
          );
          const { owner, epoch: now } = await ownerOf(name);
          for (const { who, answer } of answers) {
            const won = by[who].memberId === owner;
            if (won) expect(answer).toBe(now);
            else expect(['OWNED', 'EPOCH_ENDED']).toContain(answer);
          }
          expect(now).toBe(owner === former.memberId ? epoch : epoch + 1);
          // For the next round the former one owns it again.
          for (const { leaseId } of [b, c]) await site.client.release({ name, leaseId });
          if (owner !== former.memberId) epoch = Number(await asked(former, name));
        }),
        { numRuns: 60 },
      );
    },
    TEST_MS,
  );

  it(
    'is resumed exactly when a model of it says so, whatever came before',
    async () => {
      const who = fc.nat(2);
      const step = fc.oneof(
        fc.record({ does: fc.constantFrom('acquire', 'release', 'rejoin'), who, back: fc.nat(0) }),
        // Mostly by the epoch that the member had last.
        fc.record({ does: fc.constant('resume'), who, back: fc.constantFrom(0, 0, 0, 1, -1) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
          const name = `subscription/acme/s${++names}`;
          const model = new OwnershipModel();
          const members = await Promise.all([0, 1, 2].map((n) => join(`m${n}-${names}`)));
          const last = [0, 0, 0];
          for (const [n, { does, who: m, back }] of steps.entries()) {
            const by = members[m];
            if (by === undefined) throw new Error('no such member');
            const epoch = Math.max(1, (last[m] ?? 0) - back);
            if (does === 'rejoin') {
              members[m] = await rejoin(by);
              model.lapse(m);
            } else if (does === 'release') {
              await replica(n).release({ name, leaseId: by.leaseId });
              model.release(m);
            } else {
              const resume = does === 'resume' ? epoch : 0;
              const answer = await asked(by, name, resume, n);
              expect(answer).toEqual(model.acquire(m, resume));
              if (typeof answer === 'number') last[m] = answer;
            }
            const { owner } = model;
            const id = owner === undefined ? undefined : members[owner]?.memberId;
            expect(await ownerOf(name)).toEqual({ owner: id, epoch: model.epoch });
          }
          for (const { leaseId } of members) await site.client.leave({ leaseId });
        }),
        { numRuns: 40 },
      );
    },
    TEST_MS,
  );
});
