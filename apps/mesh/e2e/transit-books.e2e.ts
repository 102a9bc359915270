import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding, SubscriptionStatus } from '@eventmesh/adapter-api';
import { MeshClient } from '@eventmesh/sdk';
import { eventually } from '@eventmesh/testing';
import type { ContextFile } from '../src/cli/context-file.ts';
import { HttpClient } from '../src/cli/http-client.ts';
import { Taker } from './faults/taker.ts';
import { Workspace } from './run-mesh.ts';

const TEST_MS = 180_000;

const workspace = new Workspace();
let context: ContextFile;

beforeAll(async () => {
  const options = ['--sites', '3', '--ports', '0', '--json', '--no-sample'];
  await workspace.start('dev', ...options).until(/"started"/);
  const file = join(workspace.folder, '.mesh/context.json');
  context = JSON.parse(readFileSync(file, 'utf8')) as ContextFile;
}, TEST_MS);

afterAll(() => workspace.remove(), 60_000);

const client = (site: string, user: string) => {
  const password = context.users[user] ?? '';
  return new MeshClient({ address: context.sites[site]?.grpc ?? '', user, password });
};
const attach = (site: string, name: string, filter: string) =>
  Taker.attach(client(site, 'subscriber'), {
    subscription: { name, topicFilters: [filter] },
    convergeMs: 20_000,
  });

async function publish(site: string, topic: string, ids: readonly string[]): Promise<void> {
  const publisher = client(site, 'publisher');
  for (const id of ids) await publisher.publish(topic, { id, source: '/transit', type: 't' });
  publisher.close();
}

/** The management surface of the site in the middle. */
const hub = () => {
  const pair = Buffer.from(`admin:${context.users['admin'] ?? ''}`).toString('base64');
  return new HttpClient(context.sites['east']?.http ?? '', `Basic ${pair}`);
};
const status = async (name: string): Promise<SubscriptionStatus> =>
  (await hub().get<{ status: SubscriptionStatus }>(`/v1/subscriptions/${name}`)).status;

describe('a site in the middle of a line', () => {
  it(
    'counts what passes through as filtered, whether it was followed live or read later',
    async () => {
      const live = await attach('east', 'live', 'hub/#');
      await (await attach('east', 'later', 'hub/#')).leave();
      const far = await attach('north', 'far', 'far/#');
      await publish('east', 'hub/x', ['here']);
      const ids = Array.from({ length: 10 }, (_, n) => `far-${n}`);
      await publish('west', 'far/x', ids);
      await eventually(() => expect(new Set(far.ids)).toEqual(new Set(ids)), { timeoutMs: 30_000 });
      const later = await attach('east', 'later', 'hub/#');
      await eventually(async () => {
        for (const name of ['live', 'later']) {
          const books = { considered: 11, filtered: 10, delivered: 1 };
          expect([name, await status(name)]).toMatchObject([name, books]);
        }
        const path = '/v1/ledger/check';
        const { findings } = await hub().get<{ findings: LedgerFinding[] }>(path);
        expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
      });
      for (const taker of [live, later, far]) await taker.leave();
    },
    TEST_MS,
  );
});
