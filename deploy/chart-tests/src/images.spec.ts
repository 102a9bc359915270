import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEtcd } from '@eventmesh/tools-provision';
import { parse, stringify } from 'yaml';
import { render } from './helm.ts';
import { imageRoot, runImage, startImage, type ImageRoot } from './image.ts';
import { ofKind, podsOf, type KubeObject } from './kubernetes.ts';
import { SERVICES } from './values-schema.ts';

const workspace = join(import.meta.dirname, '../../..');
const hasMain = (app: string) => existsSync(join(workspace, 'apps', app, 'src/main.ts'));
const services = Object.values(SERVICES).filter(hasMain);

let image: ImageRoot;

beforeAll(() => {
  image = imageRoot();
});

afterAll(() => image.remove());

/** The folder of an app's bundle, made at first use. */
function appOf(app: string): string {
  const folder = join(image.root, 'app', app);
  if (existsSync(folder)) return folder;
  const bundle = join(workspace, 'deploy/images/bundle.ts');
  const args = [bundle, app, '--out', join(image.root, 'app')];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${app} cannot be bundled: ${stderr}`);
  return folder;
}

/** Writes a configuration file that the image's user can read. */
function writeConfig(name: string, config: unknown): string {
  const file = join(image.root, `${name}.yaml`);
  writeFileSync(file, typeof config === 'string' ? config : stringify(config));
  chmodSync(file, 0o444);
  return file;
}

/** The file that the chart gives a service, with its mounted secrets moved below a folder. */
function renderedConfig(objects: readonly KubeObject[], service: string): string {
  const map = ofKind(objects, 'ConfigMap').find(
    ({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === service,
  );
  const secrets = join(image.root, 'secrets');
  return (map?.data?.['config.yaml'] ?? '').replaceAll('/run/eventmesh/', `${secrets}-`);
}

describe.each([...services, 'mesh'].filter(hasMain))('the bundle of %s', (app) => {
  it('is one read-only module, and nothing beside it but lmdb where it is used', () => {
    const folder = appOf(app);
    expect(readdirSync(folder).filter((file) => file !== 'lmdb.node')).toEqual(['main.mjs']);
    expect(statSync(join(folder, 'main.mjs')).mode & 0o222).toBe(0);
  });

  it('has everything inside: it starts where there are no node_modules', () => {
    expect(existsSync(join(image.root, 'node_modules'))).toBe(false);
    const { code, stdout, stderr } = runImage(appOf(app), ['--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(app);
  });
});

describe.each(services)('the image of %s', (service) => {
  it('takes the configuration that the chart renders', async () => {
    const objects = await render({ set: 'default' });
    const text = renderedConfig(objects, service);
    for (const [, file] of text.matchAll(/file: (\S+)/gi)) {
      if (file?.startsWith(image.root)) {
        // Mounted files: what stands for `/run/eventmesh/x/y` is the folder `secrets-x`.
        if (!existsSync(join(file, '..')))
          image.writable(file.slice(image.root.length + 1).split('/')[0] ?? '');
        writeFileSync(file, 'a-secret-of-this-test\n');
      }
    }
    const { code, stdout, stderr } = runImage(appOf(service), [
      '--config',
      writeConfig(`${service}-rendered`, text),
      '--check-config',
    ]);
    expect([code, stderr, stdout]).toEqual([0, '', 'the configuration is valid\n']);
  });

  it('refuses a configuration that is not one with exit code 64', () => {
    const file = writeConfig(`${service}-bad`, { site: 'West!', nope: 1 });
    const { code, stderr } = runImage(appOf(service), ['--config', file]);
    expect(code).toBe(64);
    expect(stderr).toContain('unknown key "nope"');
  });
});

/** What a service needs to start alone, on state of its own in its one writable folder. */
const alone: Readonly<Record<string, (dir: string) => object>> = {
  registry: (dir) => ({ kv: { kind: 'embedded', dir } }),
  acl: (dir) => ({ kv: { kind: 'embedded', dir } }),
  'store-gateway': (dir) => ({ store: { kind: 'embedded', dir } }),
};

describe.each(services.filter((service) => alone[service] !== undefined))(
  'the image of %s',
  (service) => {
    it('becomes ready as user 65532, writes only where it may, and stops in order', async () => {
      const pods = podsOf(await render());
      const pod = pods.find(({ labels }) => labels['app.kubernetes.io/component'] === service);
      const data = image.writable(`data-${service}`);
      const before = readdirSync(image.root);
      const file = writeConfig(`${service}-alone`, {
        site: 'west',
        grpc: { port: 0 },
        admin: { port: 0 },
        ...alone[service]?.(data),
      });
      const running = await startImage(appOf(service), ['--config', file], {
        EVENTMESH_MEMBER_ID: `${service}-0`,
      });
      try {
        expect(running.memberId).toBe(`${service}-0`);
        const probe = pod?.spec.containers[0]?.readinessProbe?.httpGet?.path ?? '';
        const response = await fetch(`http://${running.addresses['admin']}${probe}`);
        expect([response.status, await response.text()]).toEqual([200, 'ready\n']);
      } finally {
        expect(await running.stop()).toBe(0);
      }
      expect(readdirSync(image.root)).toEqual([...before, `${service}-alone.yaml`].sort());
    });
  },
);

describe('the image of registry', () => {
  it('keeps its state in a real etcd, whose protocol is inside the bundle', async () => {
    const etcd = await startEtcd({ dir: image.writable('etcd') });
    try {
      const file = writeConfig('registry-etcd', {
        site: 'west',
        grpc: { port: 0 },
        admin: { port: 0 },
        kv: { kind: 'etcd', etcd: { hosts: [etcd.url] } },
      });
      const running = await startImage(appOf('registry'), ['--config', file]);
      const response = await fetch(`http://${running.addresses['admin']}/readyz`);
      expect(response.status).toBe(200);
      expect(await running.stop()).toBe(0);
    } finally {
      await etcd.stop();
    }
  });
});

describe('the Dockerfile', () => {
  const text = readFileSync(join(workspace, 'deploy/images/Dockerfile'), 'utf8');

  it('starts what these tests start, as the same user', () => {
    expect(text).toContain('ENTRYPOINT ["node", "/app/main.mjs"]');
    expect(text).toContain('USER 65532:65532');
    expect(text).toContain('HEALTHCHECK NONE');
  });

  it('names no base image, so that the build must give one by digest', () => {
    expect(text).toMatch(/^ARG BASE$/m);
    expect(text.match(/^FROM .*$/gm)).toEqual(['FROM ${BASE} AS service', 'FROM service AS cli']);
  });

  it('is told by the chart where the configuration is', async () => {
    for (const { spec } of podsOf(await render()).filter(({ title }) => /^Deploy/.test(title))) {
      expect(spec.containers[0]?.args).toEqual(['--config', '/etc/eventmesh/config.yaml']);
    }
    expect(parse('[--config, /etc/eventmesh/config.yaml]')).toEqual(
      JSON.parse(/^CMD (.*config.*)$/m.exec(text)?.[1] ?? '[]'),
    );
  });
});
