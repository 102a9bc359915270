import { describe, expect, it } from '@jest/globals';
import { validate } from '@eventmesh/config';
import { parse } from 'yaml';
import { appConfig } from './app-configs.ts';
import { refusal, render, VALUE_SETS } from './helm.ts';
import { ofKind, podsOf, type KubeObject } from './kubernetes.ts';
import { SERVICES, type ServiceKey } from './values-schema.ts';

const keys = Object.keys(SERVICES) as ServiceKey[];
const specs = await Promise.all(keys.map(async (key) => [key, await appConfig(key)] as const));

function fileOf(objects: readonly KubeObject[], key: ServiceKey): Record<string, unknown> {
  const map = ofKind(objects, 'ConfigMap').find(
    ({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === SERVICES[key],
  );
  return parse(map?.data?.['config.yaml'] ?? '') as Record<string, unknown>;
}

describe('the configuration files', () => {
  const cases = VALUE_SETS.flatMap((set) => specs.map(([key, spec]) => [key, set, spec] as const));

  it.each(cases)('of %s are valid with the %s values', async (key, set, spec) => {
    expect(validate(spec, fileOf(await render({ set }), key))).toEqual([]);
  });

  it.each(VALUE_SETS)('name only files that are mounted, with the %s values', async (set) => {
    const objects = await render({ set });
    for (const { title, owner, spec } of podsOf(objects)) {
      const map = ofKind(objects, 'ConfigMap').find(
        ({ metadata }) => metadata.name === owner.metadata.name,
      );
      const mounts = spec.containers[0]?.volumeMounts?.map(({ mountPath }) => mountPath) ?? [];
      for (const [path] of (map?.data?.['config.yaml'] ?? '').matchAll(/\/run\/eventmesh\/\S+/g)) {
        const folder = path.slice(0, path.lastIndexOf('/'));
        expect([title, mounts]).toEqual([title, expect.arrayContaining([folder])]);
      }
    }
  });

  it.each(VALUE_SETS)('and the pods mount no secret in vain, with the %s values', async (set) => {
    const objects = await render({ set });
    for (const { title, owner, spec } of podsOf(objects)) {
      const map = ofKind(objects, 'ConfigMap').find(
        ({ metadata }) => metadata.name === owner.metadata.name,
      );
      const text = map?.data?.['config.yaml'];
      if (text === undefined) continue;
      for (const { mountPath } of spec.containers[0]?.volumeMounts ?? []) {
        if (!mountPath.startsWith('/run/eventmesh/')) continue;
        expect([title, mountPath, text.includes(`${mountPath}/`)]).toEqual([
          title,
          mountPath,
          true,
        ]);
      }
    }
  });

  it('take what a service is told under `config` over what the chart knows', async () => {
    const values = { emesher: { config: { log: { level: 'debug' } } }, log: { level: 'error' } };
    const objects = await render({ values });
    expect(fileOf(objects, 'emesher')['log']).toEqual({ level: 'debug' });
    expect(fileOf(objects, 'acl')['log']).toEqual({ level: 'error' });
  });

  it.each(keys)(
    'of %s refuse an unknown key under `config` before anything is installed',
    async (key) => {
      const said = await refusal({ values: { [key]: { config: { drain: { dedline: '1s' } } } } });
      expect(said).toContain(`/${key}/config/drain`);
    },
  );

  it.each(['no', '123', '1e3'])('keep the site name %s a text', async (name) => {
    const objects = await render({ values: { site: { name } } });
    expect(fileOf(objects, 'emesher')['site']).toBe(name);
  });

  it('take no secret as a value', async () => {
    const config = { serviceToken: { value: 'in-the-open' } };
    expect(await refusal({ values: { emesher: { config } } })).toContain('/emesher/config');
  });
});
