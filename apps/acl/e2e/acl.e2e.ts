import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from '@jest/globals';
import { passwordCredential } from '@eventmesh/clients';
import { AclAdminService, AclService, Action } from '@eventmesh/proto-gen/acl';
import { createClient, grpcTransport } from '@eventmesh/rpc';
import { tempDir } from '@eventmesh/testing';

const MAIN = join(import.meta.dirname, '../src/main.ts');
const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function folder() {
  const dir = tempDir('acl-e2e');
  stops.push(() => dir.remove());
  return dir.path;
}

function launch(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  stops.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

/** Starts the service and waits for the line that names its addresses. */
async function serve(config: string) {
  const child = launch(['--config', config]);
  for await (const line of createInterface({ input: child.stdout! })) {
    const entry = JSON.parse(line) as { msg: string; addresses?: { grpc: string; admin: string } };
    if (entry.msg !== 'ready' || entry.addresses === undefined) continue;
    child.stdout!.resume();
    const transport = grpcTransport({
      address: entry.addresses.grpc,
      metadata: () => ({ authorization: 'Bearer members-only' }),
    });
    stops.push(() => transport.close());
    const authorization = `Basic ${Buffer.from('ann:anns-password').toString('base64')}`;
    const adminTransport = grpcTransport({
      address: entry.addresses.grpc,
      metadata: () => ({ authorization }),
    });
    stops.push(() => adminTransport.close());
    return {
      child,
      addresses: entry.addresses,
      acl: createClient(AclService, transport),
      admin: createClient(AclAdminService, adminTransport),
    };
  }
  throw new Error(`the service ended with ${child.exitCode}`);
}

function writeConfig(dir: string, kv: unknown): string {
  const bootstrap = join(dir, 'bootstrap.yaml');
  writeFileSync(
    bootstrap,
    `
users:
  - { name: ann, password: { value: anns-password }, roles: [admin] }
policies:
  - { subject: role:admin, action: admin, filters: ['#'] }
  - { subject: role:admin, action: publish, filters: ['a/#'] }
`,
  );
  const config = join(dir, 'config.json');
  writeFileSync(
    config,
    JSON.stringify({
      site: 'west',
      grpc: { port: 0 },
      admin: { port: 0 },
      kv,
      password: { costLog2: 12, parallel: 1 },
      serviceToken: { value: 'members-only' },
      bootstrap: { file: bootstrap },
    }),
  );
  return config;
}

describe('the acl service', () => {
  it('with a bad configuration prints every problem and exits 64', async () => {
    const dir = folder();
    const config = join(dir, 'config.yaml');
    const bootstrap = join(dir, 'bootstrap.yaml');
    writeFileSync(bootstrap, 'users: [{ name: ann }]\npolicy: []\n');
    writeFileSync(
      config,
      `
site: west
issuers:
  - { issuer: a, audience: [], keys: { url: 'http://example.com/keys' } }
  - { issuer: a, audience: [x], keys: {}, tenant: t }
kv: { kind: etcd }
bootstrap: { file: ${bootstrap} }
`,
    );
    const child = launch(['--config', config]);
    const texts: Buffer[] = [];
    child.stderr!.on('data', (part: Buffer) => texts.push(part));
    const [code] = (await once(child, 'close')) as [number];
    const text = Buffer.concat(texts).toString();
    expect(code).toBe(64);
    for (const problem of [
      'issuers[0].keys.url: must be https',
      'issuers[0].audience: is empty',
      'issuers[0]: give exactly one of tenant',
      'issuers[1].keys: give exactly one of',
      'issuers: an issuer is there twice',
      'kv.etcd.hosts: is empty',
      'users[0]: missing key "password"',
      'unknown key "policy"',
    ]) {
      expect(text).toContain(problem);
    }
  });

  it('logs in, tells a policy change within a second, and keeps all over kill -9', async () => {
    const dir = folder();
    const config = writeConfig(dir, { dir: join(dir, 'kv') });
    const first = await serve(config);
    const credential = passwordCredential('ann', 'anns-password');
    const { grants } = await first.acl.authenticate({ credential });
    expect(grants).toHaveLength(2);
    await expect(
      first.admin.listUsers({}, { metadata: { authorization: 'Bearer members-only' } }),
    ).rejects.toMatchObject({ code: 'Unauthenticated' });

    const watch = first.acl.watchPolicy({})[Symbol.asyncIterator]();
    const before = (await watch.next()).value?.revision;
    await first.admin.putUser({ user: { name: 'bob' }, password: 'bobs-password' });
    const from = performance.now();
    const { revision } = await first.admin.putPolicy({
      policy: { subject: 'user:bob', action: Action.PUBLISH, topicFilter: 'b' },
    });
    let told = before;
    while (told !== revision) told = (await watch.next()).value?.revision;
    expect(performance.now() - from).toBeLessThan(1000);
    await watch.return?.(undefined);

    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await serve(config);
    const bob = await second.acl.authenticate({
      credential: passwordCredential('bob', 'bobs-password'),
    });
    expect(bob.grants).toMatchObject([{ action: Action.PUBLISH, topicFilter: 'b' }]);
    expect(bob.revision).toBe(revision);

    const ready = await fetch(`http://${second.addresses.admin}/readyz`);
    expect(ready.status).toBe(200);
    second.child.kill('SIGTERM');
    const [code] = (await once(second.child, 'exit')) as [number];
    expect(code).toBe(0);
  });

  it('refuses callers without the service token', async () => {
    const dir = folder();
    const { acl } = await serve(writeConfig(dir, { dir: join(dir, 'kv') }));
    await expect(
      acl.effectiveGrants({}, { metadata: { authorization: 'Bearer guess' } }),
    ).rejects.toMatchObject({ code: 'Unauthenticated' });
  });
});
