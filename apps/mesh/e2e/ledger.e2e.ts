import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding } from '@eventmesh/adapter-api';
import { eventually, tempDir } from '@eventmesh/testing';
import { SiteMesh } from './faults/site-mesh.ts';

const TEST_MS = 120_000;

const dir = tempDir('ledger');
let mesh: SiteMesh;

beforeAll(async () => {
  // An id of its own at each start, as it ships; and a lease that outlives its emesher for long.
  const emesher = { memberId: undefined, dataPlane: { lease: { ttl: '60s' } } };
  mesh = await SiteMesh.start(dir.path, { west: 1 }, { emesher });
}, TEST_MS);
afterAll(async () => {
  await mesh?.stop();
  dir.remove();
}, 60_000);

const publish = async (ids: readonly string[]): Promise<void> => {
  const client = mesh.client(mesh.emesher(0), 'publisher');
  try {
    for (const id of ids) {
      await client.publish('books/a', { id, source: '/ledger', type: 't' });
    }
  } finally {
    client.close();
  }
};

describe('the books of a site whose emesher was killed and began again', () => {
  it(
    'count its receipts once, and name the one that has gone, while its lease lasts',
    async () => {
      const one = mesh.emesher(0);
      await publish(['1', '2', '3']);
      await one.process.kill();
      await one.process.start();
      await eventually(() => publish(['4', '5']), { timeoutMs: 30_000 });
      const path = '/v1/ledger/check';
      const { findings } = await mesh.manage(one).get<{ findings: LedgerFinding[] }>(path);
      expect(findings.filter(({ verdict }) => verdict === 'difference')).toEqual([]);
      expect(findings.find(({ check }) => check === 'stored')).toMatchObject({
        expected: 2,
        counted: 2,
        verdict: 'ok',
      });
      expect(findings.find(({ check }) => check === 'emeshers')).toMatchObject({
        expected: 2,
        counted: 1,
        verdict: 'unknown',
        detail: expect.stringMatching(/\(it has gone: \S+ answers at its address\)/),
      });
    },
    TEST_MS,
  );
});
