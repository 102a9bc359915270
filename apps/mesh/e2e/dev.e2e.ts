import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { LedgerLine, TraceStep } from '@eventmesh/adapter-api';
import type { SiteSnapshot } from '../src/dev/snapshot.ts';
import { Workspace, type MeshRun } from './run-mesh.ts';

// Starting and stopping several processes takes its time on a busy machine.
jest.setTimeout(120_000);

interface DevLine {
  readonly started?: { readonly sites: Readonly<Record<string, { readonly http: string }>> };
  readonly sites?: readonly SiteSnapshot[];
  readonly ledger?: readonly { readonly site: string; readonly lines: readonly LedgerLine[] }[];
}

const linesOf = (run: MeshRun): DevLine[] =>
  run.out
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as DevLine);

const startDev = async (workspace: Workspace, ...more: string[]): Promise<MeshRun> => {
  const dev = workspace.start('dev', '--ports', '0', '--json', ...more);
  await dev.until(/"started"/);
  return dev;
};

describe('mesh dev', () => {
  const workspace = new Workspace();
  let dev: MeshRun;

  beforeAll(async () => {
    dev = await startDev(workspace, '--no-sample');
  });
  afterAll(() => workspace.remove());

  it('leaves a context file for its owner alone, by which the other commands need no flags', async () => {
    const path = join(workspace.folder, '.mesh/context.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const rows = await workspace.json<{ site: string; state: string }[]>('status');
    expect(rows.map(({ site, state }) => [site, state])).toEqual([
      ['west', 'answers'],
      ['east', 'answers'],
    ]);
    const stranger = await workspace.run('status', '--user', 'nobody:12345678');
    expect(stranger).toMatchObject({ code: 77, out: expect.stringContaining('the credential is') });
  });

  it('delivers at east what is published at west, and traces its hops', async () => {
    const sub = workspace.start(
      ...['sub', 'orders/#', '--site', 'east', '--name', 'billing', '--count', '1'],
      ...['--timeout', '20s', '-o', 'json'],
    );
    await sub.until(/subscribed as billing; known at .*west/);
    const [published] = await workspace.json<{ id: string; receipt: Record<string, unknown> }[]>(
      ...['pub', 'orders/eu/new', '{"order":1}', '--site', 'west', '--key', 'c-1'],
    );
    expect(published?.receipt).toMatchObject({
      site: 'west',
      durability: 'fsync',
      noInterest: false,
    });
    expect(await sub.ended).toBe(0);
    expect(JSON.parse(sub.out)).toMatchObject({
      topic: 'orders/eu/new',
      originSite: 'west',
      attempt: 1,
      event: { id: published?.id, partitionkey: 'c-1', data: { order: 1 } },
    });
    const { steps } = await workspace.json<{ steps: TraceStep[] }>('trace', published?.id ?? '');
    expect([...new Set(steps.map(({ site }) => site))]).toEqual(['west', 'east']);
    for (const step of ['accepted', 'stored', 'delivered']) {
      expect(steps.map((each) => each.step)).toContain(step);
    }
    // Steps of other sites look like the ones of the site that was asked.
    expect(new Set(steps.map((each) => Object.keys(each).sort().join())).size).toBe(1);
  });

  it('shows topics, subscriptions, the graph and the ledger', async () => {
    const topics = await workspace.json<{ topic: string }[]>('topics', '--site', 'west');
    expect(topics.map(({ topic }) => topic)).toContain('orders/eu/new');
    const sites = await workspace.run('sites', '--site', 'west');
    expect(sites.out).toMatch(/west \(asked\) .*east/);
    expect(sites.out).toMatch(/east +east +1/);
    const ledger = await workspace.json<LedgerLine[]>('ledger', '--site', 'east');
    expect(ledger.find(({ subscription }) => subscription === 'billing')).toMatchObject({
      delivered: 1,
      held: 0,
    });
  });

  it('administers users, policies and the catalogue', async () => {
    const put = await workspace.run(
      'users',
      'put',
      'ada',
      '--role',
      'auditor',
      '--password',
      'long-enough',
    );
    expect(put).toMatchObject({ code: 0 });
    expect((await workspace.json<{ name: string }[]>('users')).map(({ name }) => name)).toContain(
      'ada',
    );
    const refused = await workspace.run('pub', 'a/b', 'x', '--user', 'ada:long-enough');
    expect(refused.code).toBe(77);
    expect(refused.err).toMatch(/PermissionDenied 40300: .*mesh policies put/);
    const wrong = await workspace.run('topics', '--user', 'ada:wrong-password');
    expect(wrong.code).toBe(77);
    await workspace.run('policies', 'put', 'role:auditor', 'publish', 'a/#');
    await workspace.run('catalogue', 'types', 'put', 'com.example.x', '--description', 'an x');
    const types = await workspace.json<{ type: string }[]>('catalogue', 'types');
    expect(types.map(({ type }) => type)).toContain('com.example.x');
    expect(await workspace.json<{ intact: boolean }>('audit', 'verify')).toMatchObject({
      intact: true,
    });
  });

  it('drains at SIGINT, prints the ledger, exits 0 and goes on from disk at the next start', async () => {
    expect(await dev.stop('SIGINT')).toBe(0);
    const ledger = linesOf(dev).at(-1)?.ledger ?? [];
    const line = (site: string, subscription: string) =>
      ledger
        .find((each) => each.site === site)
        ?.lines.find((each) => each.subscription === subscription);
    expect(line('west', '')).toMatchObject({ accepted: 1 });
    expect(line('east', 'billing')).toMatchObject({ delivered: 1 });
    expect(existsSync(join(workspace.folder, '.mesh/context.json'))).toBe(false);

    dev = await startDev(workspace, '--no-sample');
    expect((await workspace.json<{ name: string }[]>('users')).map(({ name }) => name)).toContain(
      'ada',
    );
    await workspace.run('pub', 'orders/eu/new', '{"order":2}', '--site', 'west');
    const { code, out } = await workspace.run(
      ...['sub', '--name', 'billing', '--site', 'east', '--count', '1', '--timeout', '20s'],
      ...['-o', 'json'],
    );
    expect(code).toBe(0);
    // The first order was accepted before the restart and does not come again.
    expect(JSON.parse(out)).toMatchObject({ event: { data: { order: 2 } } });
    expect(await dev.stop('SIGTERM')).toBe(0);
  });
});

describe('mesh dev with sample traffic', () => {
  const workspace = new Workspace();
  afterAll(() => workspace.remove());

  it('moves events from west to east over a link that it shows', async () => {
    const dev = await startDev(workspace, '--rate', '50');
    // Both protocols have delivered at east.
    await dev.until(/"protocol":"grpc","accepted":0,"delivered":[1-9]/);
    await dev.until(/"protocol":"http","accepted":0,"delivered":[1-9]/);
    const shown = linesOf(dev).findLast(({ sites }) => sites !== undefined)?.sites ?? [];
    expect(shown.find(({ site }) => site === 'west')?.accepted).toBeGreaterThan(0);
    const protocols = shown.find(({ site }) => site === 'west')?.protocols ?? [];
    expect(protocols.map(({ protocol }) => protocol)).toEqual(
      expect.arrayContaining(['grpc', 'http']),
    );
    const kinds = ['accepted', 'delivered', 'filtered', 'held', 'deadLettered'] as const;
    for (const site of linesOf(dev).flatMap(({ sites }) => sites ?? [])) {
      for (const kind of kinds) {
        expect(site.protocols.reduce((sum, row) => sum + row[kind], 0)).toBe(site[kind]);
      }
      for (const { accepted, delivered, held, deadLettered } of site.links) {
        expect(delivered + held + deadLettered).toBe(accepted);
      }
    }
    // All traffic goes through protocols: nothing is left for the row of the rest.
    const east = shown.find(({ site }) => site === 'east');
    expect(east?.protocols.find(({ protocol }) => protocol === '(none)')).toBeUndefined();
    expect(shown.find(({ site }) => site === 'west')?.links).toEqual([
      expect.objectContaining({ to: 'east', up: true }),
    ]);
    expect(await dev.stop('SIGINT')).toBe(0);
    expect(dev.err).not.toMatch(/sample /);
  });
});
