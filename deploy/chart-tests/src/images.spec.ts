import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEtcd } from '@eventmesh/tools-provision';
import { parse, stringify } from 'yaml';
import { render } from './helm.ts';
import { evaluatingInputs } from '@eventmesh/images';
import {
  IMAGE_ENVIRONMENT,
  NODE_FLAGS,
  imageRoot,
  runImage,
  startImage,
  type ImageRoot,
  type RunningImage,
} from './image.ts';
import { ofKind, podsOf, type KubeObject } from './kubernetes.ts';
import { SERVICES } from './values-schema.ts';

const workspace = join(import.meta.dirname, '../../..');
const services = Object.values(SERVICES);

let image: ImageRoot;

beforeAll(() => {
  image = imageRoot();
});

afterAll(() => image.remove());

/** The folder of an app's bundle, made at first use. */
function appOf(app: string): string {
  const folder = join(image.root, 'app', app);
  if (existsSync(folder)) return folder;
  const bundle = join(workspace, 'deploy/images/src/bundle.ts');
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

describe.each([...services, 'mesh'])('the bundle of %s', (app) => {
  it('is one read-only module, and beside it lmdb and the OpenAPI page where they are used', () => {
    const folder = appOf(app);
    const beside = readdirSync(folder).filter((file) => file !== 'main.mjs');
    expect(['lmdb.node', 'static']).toEqual(expect.arrayContaining(beside));
    for (const file of ['main.mjs', ...beside.filter((name) => name !== 'static')]) {
      expect(statSync(join(folder, file)).mode & 0o222).toBe(0);
    }
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

describe('the image of emesher', () => {
  it('becomes ready beside the others, and serves the OpenAPI page from its files', async () => {
    const token = join(image.root, 'service-token');
    writeFileSync(token, 'a-token-of-this-test\n');
    const common = {
      site: 'west',
      grpc: { port: 0 },
      admin: { port: 0 },
      serviceToken: { file: token },
    };
    const running: RunningImage[] = [];
    const start = async (name: string, own: object) => {
      const file = writeConfig(`${name}-site`, { ...common, ...own });
      running.unshift(await startImage(appOf(name), ['--config', file]));
      return { address: running[0]?.addresses['grpc'] };
    };
    try {
      const registry = await start(
        'registry',
        alone['registry']?.(image.writable('site-reg')) ?? {},
      );
      const acl = await start('acl', alone['acl']?.(image.writable('site-acl')) ?? {});
      const store = await start(
        'store-gateway',
        alone['store-gateway']?.(image.writable('site-store')) ?? {},
      );
      const governance = await start('governance', {
        kv: { kind: 'embedded', dir: image.writable('site-gov') },
        services: { acl, store },
      });
      const services = { registry, acl, store, governance };
      await start('emesher', { http: { port: 0 }, services });
      for (const { addresses } of running) {
        // An event loop that is caught in a loop of its own does not answer.
        const signal = AbortSignal.timeout(5000);
        expect((await fetch(`http://${addresses['admin']}/livez`, { signal })).status).toBe(200);
      }
      const { admin, http } = running[0]?.addresses ?? {};
      expect((await fetch(`http://${admin}/readyz`)).status).toBe(200);
      expect((await fetch(`http://${http}/docs/static/swagger-ui.css`)).status).toBe(200);
      expect((await fetch(`http://${http}/v1/openapi.json`)).status).toBe(200);
    } finally {
      // The emesher first, so that each finds what it hands its work to.
      for (const one of running) expect(await one.stop()).toBe(0);
    }
  });
});

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

describe('the bundler', () => {
  it('finds modules whose evaluated code would see the names of others', () => {
    writeFileSync(join(image.root, 'a.js'), 'export const f = () => eval(code);');
    writeFileSync(join(image.root, 'b.js'), 'export const g = `eval(x)`; x.eval(1); myeval(2);');
    const input = (format: 'esm' | 'cjs') => ({ bytes: 1, imports: [], format });
    const inputs = { 'a.js': input('esm'), 'b.js': input('esm') };
    expect(evaluatingInputs({ inputs, outputs: {} }, image.root)).toEqual(['a.js']);
    const wrapped = { 'a.js': input('cjs') };
    expect(evaluatingInputs({ inputs: wrapped, outputs: {} }, image.root)).toEqual([]);
  });
});

describe('the Dockerfile', () => {
  const text = readFileSync(join(workspace, 'deploy/images/Dockerfile'), 'utf8');

  it('starts what these tests start, as the same user', () => {
    const entry = JSON.stringify(['node', ...NODE_FLAGS, '/app/main.mjs']);
    expect(JSON.parse(/^ENTRYPOINT (.*main.*)$/m.exec(text)?.[1] ?? '')).toEqual(JSON.parse(entry));
    for (const [name, value] of Object.entries(IMAGE_ENVIRONMENT)) {
      expect(/^ENV (.*)$/m.exec(text)?.[1]?.split(' ')).toContain(`${name}=${value}`);
    }
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
