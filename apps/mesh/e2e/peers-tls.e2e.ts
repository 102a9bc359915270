import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MeshClient } from '@eventmesh/sdk';
import { TestAuthority, eventually, tempDir, type CertificateFiles } from '@eventmesh/testing';
import { SiteMesh, type Emesher } from './faults/site-mesh.ts';
import { Taker } from './faults/taker.ts';

const TEST_MS = 60_000;
/** As a cluster issues it: the name of the service. The address is for the clients of this test. */
const NAMES = 'DNS:emesher.west.example,IP:127.0.0.1';

const dir = tempDir('peers-tls');
const takers: Taker[] = [];
let mesh: SiteMesh;
let stranger: CertificateFiles & { readonly caFile: string };

/** Two emeshers with certificates of one authority, and a third one with all files of another. */
beforeAll(async () => {
  const [ours, theirs] = [
    new TestAuthority(dir.path, 'ours'),
    new TestAuthority(dir.path, 'theirs'),
  ];
  stranger = { ...theirs.issue('stranger', NAMES), caFile: theirs.caFile };
  const filesOf = (member: string) =>
    member.endsWith('3') ? stranger : { ...ours.issue(member, NAMES), caFile: ours.caFile };
  const clients = { ...ours.issue('client'), caFile: ours.caFile };
  mesh = await SiteMesh.start(
    dir.path,
    { west: 3 },
    {
      tls: clients,
      grpcOf: (member) => ({ tls: { ...filesOf(member), clientCertificates: 'required' } }),
    },
  );
}, 120_000);

afterAll(async () => {
  await Promise.all(takers.map((taker) => taker.leave()));
  await mesh?.stop();
  dir.remove();
}, 60_000);

const clientOf = (at: Emesher, tls: CertificateFiles & { readonly caFile: string }) =>
  new MeshClient({
    address: at.grpc,
    user: 'subscriber',
    password: mesh.identity.users['subscriber'] ?? '',
    tls,
  });

async function take(client: MeshClient, name: string): Promise<Taker> {
  const subscription = { name, topicFilters: [`${name}/#`] };
  const taker = await Taker.attach(client, { subscription, credit: 1 });
  takers.push(taker);
  return taker;
}

async function publish(at: Emesher, topic: string, ids: readonly string[]): Promise<void> {
  const client = mesh.client(at, 'publisher');
  for (const id of ids) await client.publish(topic, { id, source: '/tls', type: 'test' });
  client.close();
}

describe('the emeshers of a site that require certificates of each other', () => {
  it(
    'relay a consumer to the owner of its subscription',
    async () => {
      const [owner, other] = [mesh.emesher(0), mesh.emesher(1)];
      const ids = Array.from({ length: 50 }, (_, n) => `shared-${n}`);
      const here = await take(mesh.client(owner, 'subscriber'), 'shared');
      const there = await take(mesh.client(other, 'subscriber'), 'shared');
      await publish(other, 'shared/x', ids);
      await eventually(() => expect([...here.ids, ...there.ids].sort()).toEqual(ids.toSorted()));
      expect(Math.min(here.taken.length, there.taken.length)).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  it(
    'refuse one whose certificates are of another authority, which says why',
    async () => {
      const [owner, , alien] = [mesh.emesher(0), mesh.emesher(1), mesh.emesher(2)];
      const here = await take(mesh.client(owner, 'subscriber'), 'guarded');
      await expect(take(clientOf(alien, stranger), 'guarded')).rejects.toMatchObject({
        code: 'Unavailable',
        reason: 'NO_OWNER',
        message: expect.stringMatching(
          /no emesher of this site serves "guarded" now .*certificate/,
        ),
      });
      expect(alien.process.words).toMatch(/certificate/);
      // It serves those that it knows, and the others go on without it.
      await publish(owner, 'guarded/x', ['guarded-1']);
      await eventually(() => expect(here.ids).toEqual(['guarded-1']));
    },
    TEST_MS,
  );
});
