import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { stringify } from 'yaml';
import { loadIdentity } from '../src/dev/identity.ts';
import { planSites } from '../src/dev/plan.ts';
import { choosePorts, configsOf } from '../src/dev/services.ts';
import { Workspace } from './run-mesh.ts';

jest.setTimeout(60_000);

describe('mesh check-config', () => {
  const workspace = new Workspace();
  const write = (name: string, value: unknown): string => {
    const path = join(workspace.folder, name);
    writeFileSync(path, typeof value === 'string' ? value : stringify(value));
    return path;
  };
  let configs: Readonly<Record<string, unknown>> = {};
  let users = '';

  beforeAll(async () => {
    const identity = loadIdentity(join(workspace.folder, 'data'));
    users = identity.bootstrapFile;
    const plan = await planSites({ sites: 2, ports: 0 });
    const [site] = plan.sites;
    if (site === undefined) throw new Error('the plan has no site');
    configs = configsOf(site, {
      plan,
      identity,
      servicePorts: await choosePorts(plan),
      etcdUrl: 'http://127.0.0.1:2379',
      nats: { url: 'nats://127.0.0.1:4222', monitorUrl: 'http://127.0.0.1:8222' },
    });
  });
  afterAll(() => workspace.remove());

  it.each(['registry', 'acl', 'governance', 'store-gateway', 'emesher'])(
    'finds the configuration that `mesh dev --services` gives to %s valid, and a damaged one not',
    async (service) => {
      const good = write(`${service}.yaml`, configs[service]);
      expect(await workspace.run('check-config', good, '--service', service)).toMatchObject({
        code: 0,
        err: '',
      });
      const bad = write(`${service}-bad.yaml`, {
        ...(configs[service] as object),
        site: 'NOT A SITE',
        unknownKey: 1,
      });
      const { code, err } = await workspace.run('check-config', bad, '--service', service);
      expect(code).toBe(64);
      expect(err).toMatch(/2 problem\(s\)/);
      expect(err).toMatch(/unknown key "unknownKey"/);
      expect(err).toMatch(/site: /);
    },
  );

  it('checks the users and policies to begin with', async () => {
    expect(await workspace.run('check-config', users, '--service', 'acl-bootstrap')).toMatchObject({
      code: 0,
    });
    const bad = write('users.yaml', 'users: [{ name: "a/b", password: { value: short } }]');
    const { code, err } = await workspace.run('check-config', bad, '--service', 'acl-bootstrap');
    expect(code).toBe(64);
    expect(err).toMatch(/users\[0\]/);
  });

  it('names a file that is not there', async () => {
    const { code, err } = await workspace.run('check-config', 'none.yaml', '--service', 'acl');
    expect(code).toBe(64);
    expect(err).toMatch(/none\.yaml/);
  });
});
