import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { describeMeshContract, eventually, tempDir, type MeshUnderTest } from '@eventmesh/testing';
import { stringify } from 'yaml';
import { startSite } from '../src/site/start-site.ts';

const users = [
  { tenant: 'acme', name: 'alice', publish: ['#'], subscribe: ['#'] },
  { tenant: 'acme', name: 'reader', publish: [], subscribe: ['public/#'] },
  { tenant: 'evil', name: 'mallory', publish: ['#'], subscribe: ['#'] },
];

const passwordOf = (name: string): string => `${name}-password`;

/** Users and what they may do. Alice may look at everything, too, so that she can see the store. */
function bootstrap(): string {
  const policy = (tenant: string, name: string, action: string, filters: readonly string[]) =>
    filters.length === 0 ? [] : [{ tenant, subject: `user:${name}`, action, filters }];
  return stringify({
    users: users.map(({ tenant, name }) => ({
      tenant,
      name,
      password: { value: passwordOf(name) },
      roles: [],
    })),
    policies: [
      ...users.flatMap(({ tenant, name, publish, subscribe }) => [
        ...policy(tenant, name, 'publish', publish),
        ...policy(tenant, name, 'subscribe', subscribe),
      ]),
      ...policy('acme', 'alice', 'inspect', ['#']),
    ],
  });
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** A site as it is shipped in one process, on the embedded store. */
async function make(): Promise<MeshUnderTest> {
  const dir = tempDir('mesh-port');
  const bootstrapFile = join(dir.path, 'users.yaml');
  writeFileSync(bootstrapFile, bootstrap(), { mode: 0o600 });
  const site = await startSite({
    site: 'west',
    dir: dir.path,
    bootstrapFile,
    dataPlane: { log: { partitions: 4, retentionBytes: '256KiB' } },
  });
  const port = site.portFor('contract');
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= site.stop());
  return {
    port,
    authorization: {
      alice: basic('acme/alice', passwordOf('alice')),
      reader: basic('acme/reader', passwordOf('reader')),
      mallory: basic('evil/mallory', passwordOf('mallory')),
    },
    async forget(partition, before, more) {
      const session = await port.authenticate(basic('acme/alice', passwordOf('alice')));
      await eventually(async () => {
        await more();
        const { logs } = await port.inspect.store(session);
        const log = logs.find((one) => one.log === 'events.acme');
        expect(log?.partitions[partition]?.first).toBeGreaterThanOrEqual(before);
      });
    },
    drain: () => void stop(),
    async dispose() {
      await stop();
      dir.remove();
    },
  };
}

describeMeshContract('a site', make);
