import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createGovernanceView } from '@eventmesh/clients';
import { GovernanceService, PolicyService } from '@eventmesh/proto-gen/governance';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { eventually, startEtcd, tempDir } from '@eventmesh/testing';

const APPS = join(import.meta.dirname, '../..');
const TOKEN = 'members-only';
const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function folder(): string {
  const dir = tempDir('governance-e2e');
  stops.push(() => dir.remove());
  return dir.path;
}

function launch(app: string, args: readonly string[]): ChildProcess {
  const main = join(APPS, app, 'src/main.ts');
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  stops.push(() => kill(child));
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Starts a service as its image would, and waits for the line that names its addresses. */
async function serve(app: string, dir: string, settings: Record<string, unknown>) {
  const config = join(dir, `${app}.json`);
  writeFileSync(
    config,
    JSON.stringify({
      site: 'west',
      grpc: { port: 0 },
      admin: { port: 0 },
      serviceToken: { value: TOKEN },
      ...settings,
    }),
  );
  const child = launch(app, ['--config', config]);
  for await (const line of createInterface({ input: child.stdout! })) {
    const entry = JSON.parse(line) as { msg: string; addresses?: { grpc: string } };
    if (entry.msg !== 'ready' || entry.addresses === undefined) continue;
    child.stdout!.resume();
    return { child, address: entry.addresses.grpc };
  }
  throw new Error(`${app} ended with ${child.exitCode}`);
}

const bootstrapFile = (dir: string): string => {
  const file = join(dir, 'acl-bootstrap.yaml');
  writeFileSync(
    file,
    `
users: [{ name: ann, password: { value: anns-password }, roles: [admin] }]
policies:
  - { subject: role:admin, action: admin, filters: ['#'] }
  - { subject: role:admin, action: inspect, filters: ['#'] }
`,
  );
  return file;
};

const startAcl = (dir: string, kv: unknown) =>
  serve('acl', dir, {
    kv,
    password: { costLog2: 12, parallel: 1 },
    bootstrap: { file: bootstrapFile(dir) },
  });

const startStore = (dir: string) =>
  serve('store-gateway', dir, { store: { kind: 'embedded', dir: join(dir, 'store') } });

const startGovernance = (dir: string, acl: string, store: string, kv: unknown) =>
  serve('governance', dir, {
    kv,
    services: { acl: { address: acl }, store: { address: store } },
  });

function clients(address: string) {
  const as = (authorization: string) => {
    const transport = grpcTransport({ address, metadata: () => ({ authorization }) });
    stops.push(() => transport.close());
    return transport;
  };
  const basic = `Basic ${Buffer.from('ann:anns-password').toString('base64')}`;
  return {
    admin: createClient(GovernanceService, as(basic)),
    policy: createClient(PolicyService, as(`Bearer ${TOKEN}`)),
  };
}

describe('the governance service', () => {
  it('with a bad configuration prints every problem and exits 64', async () => {
    const dir = folder();
    const config = join(dir, 'config.yaml');
    const bootstrap = join(dir, 'bootstrap.yaml');
    writeFileSync(bootstrap, `topics: [{ filter: 'a/#/b' }]\nquotas: [{ principal: 'a b' }]\n`);
    writeFileSync(
      config,
      `
site: west
services: { acl: { address: '127.0.0.1:1' }, store: { address: '127.0.0.1:1' } }
kv: { kind: etcd, etcd: { hosts: [], username: root } }
bootstrap: { file: ${bootstrap} }
`,
    );
    const child = launch('governance', ['--config', config]);
    const texts: Buffer[] = [];
    child.stderr!.on('data', (part: Buffer) => texts.push(part));
    const [code] = (await once(child, 'close')) as [number];
    const text = Buffer.concat(texts).toString();
    expect(code).toBe(64);
    expect(text).toContain('kv.etcd.hosts: is empty');
    expect(text).toContain('kv.etcd: needs both username and password');
    expect(text).toContain('quotas[0].principal');
  });

  it('keeps policy and audit over kill -9, and outlives acl and the store', async () => {
    const dir = folder();
    const acl = await startAcl(dir, { dir: join(dir, 'acl') });
    const store = await startStore(dir);
    const kv = { dir: join(dir, 'governance') };
    const first = await startGovernance(dir, acl.address, store.address, kv);
    const { admin, policy } = clients(first.address);
    const errors: string[] = [];
    const view = createGovernanceView(policy, {
      member: 'emesher-1',
      onError: ({ code }) => void errors.push(code),
    });
    stops.push(() => view.close(100));
    await view.ready;
    const from = performance.now();
    await admin.putTopic({ topic: { topicFilter: 'orders/#', eventBytesMax: 1000n } });
    await eventually(() =>
      expect(view.topicPolicy('default', 'orders/1')?.eventBytesMax).toBe(1000),
    );
    expect(performance.now() - from).toBeLessThan(1000);
    view.audit({ tenant: 'default', action: 'publish', resource: 'orders/1', outcome: 'refused' });
    await view.auditSpool.flush();
    expect(await admin.verifyAudit({})).toMatchObject({ intact: true, entries: 2n });

    await kill(first.child);
    await eventually(() => expect(view.connected).toBe(false));
    expect(view.topicPolicy('default', 'orders/1')).toBeDefined();
    const second = clients((await startGovernance(dir, acl.address, store.address, kv)).address);
    expect((await second.admin.listTopics({})).topics).toHaveLength(1);
    const { entries } = await second.admin.listAudit({});
    expect(entries.map(({ action }) => action)).toEqual(['put-topic', 'publish']);
    expect(await second.admin.verifyAudit({})).toMatchObject({ intact: true, entries: 2n });

    // Known callers go on for a while without acl; the change stands though the audit must wait.
    await kill(acl.child);
    await kill(store.child);
    await second.admin.putTopic({ topic: { topicFilter: 'late' } }, { timeoutMs: 15_000 });
    expect((await second.admin.listTopics({})).topics).toHaveLength(2);
    await expect(second.policy.appendAudit({ entries: [{ action: 'x' }] })).rejects.toMatchObject({
      code: 'Unavailable',
    });
  }, 60_000);

  it('shares an etcd with acl, and keeps its state there over a restart of all', async () => {
    const dir = folder();
    const etcd = await startEtcd({ dir: join(dir, 'etcd') });
    stops.push(() => etcd.stop());
    const kv = { kind: 'etcd', etcd: { hosts: [etcd.url], prefix: 'eventmesh/west/' } };
    const store = await startStore(dir);
    const run = async () => {
      const acl = await startAcl(dir, kv);
      const governance = await startGovernance(dir, acl.address, store.address, kv);
      return { acl, governance, ...clients(governance.address) };
    };
    const first = await run();
    await first.admin.putQuota({ quota: { principal: 'ann', eventsPerSecond: 5n } });
    await kill(first.acl.child);
    await kill(first.governance.child);
    const second = await run();
    expect((await second.admin.listQuotas({})).quotas).toMatchObject([{ eventsPerSecond: 5n }]);
    expect(await second.admin.verifyAudit({})).toMatchObject({ intact: true, entries: 1n });
  }, 120_000);
});
