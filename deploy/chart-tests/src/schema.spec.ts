import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { refusal } from './helm.ts';
import { CHART, SCHEMA_FILE, schemaText } from './schema-file.ts';

type Node = Readonly<Record<string, unknown>>;
const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8')) as Node;

/** Every schema below one that describes values, with its path. */
function* walk(node: Node, path: string): Generator<[string, Node]> {
  yield [path, node];
  for (const [name, child] of Object.entries((node['properties'] ?? {}) as Record<string, Node>)) {
    yield* walk(child, path === '' ? name : `${path}.${name}`);
  }
  for (const [name, child] of Object.entries((node['definitions'] ?? {}) as Record<string, Node>)) {
    yield* walk(child, `#${name}`);
  }
  if (node['items'] !== undefined) yield* walk(node['items'] as Node, `${path}[]`);
}

const resolved = (node: Node): Node =>
  typeof node['$ref'] === 'string'
    ? ((schema['definitions'] as Record<string, Node>)[node['$ref'].split('/').at(-1) ?? ''] ?? {})
    : node;

describe('values.schema.json', () => {
  it('is what `node deploy/chart-tests/src/generate.ts` writes', async () => {
    expect(readFileSync(SCHEMA_FILE, 'utf8')).toBe(await schemaText());
  });

  it('is closed at every level, but for labels and objects of Kubernetes itself', () => {
    const open = [...walk(schema, '')].filter(
      ([, node]) =>
        node['type'] === 'object' &&
        node['additionalProperties'] === undefined &&
        !String(node['$comment']).startsWith('Kubernetes API object'),
    );
    expect(open.map(([path]) => path)).toEqual([]);
  });

  it('describes every property', () => {
    const bare = [...walk(schema, '')].filter(
      ([path, node]) =>
        !path.endsWith('[]') && !((node['description'] ?? resolved(node)['description']) as string),
    );
    expect(bare.map(([path]) => path)).toEqual([]);
  });

  it('knows exactly the properties that values.yaml shows', () => {
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as Node;
    expect(Object.keys(values).sort()).toEqual(Object.keys(schema['properties'] as Node).sort());
    const shown = Object.keys(values['defaults'] as Node).sort();
    const known = (schema['properties'] as Record<string, Record<string, Node>>)['defaults'];
    expect(shown).toEqual(Object.keys(known?.['properties'] ?? {}).sort());
  });

  it.each([
    ['at the root', { zzUnknown: 1 }],
    ['in a nested object', { etcd: { persistence: { sise: '1Gi' } } }],
    ['in a service', { emesher: { replica: 3 } }],
    ['in the defaults', { defaults: { probes: { startup: { periods: 1 } } } }],
    ['in a list', { links: [{ site: 'east', adress: 'x:1' }] }],
    ['in the global values', { global: { imageRegistri: 'x' } }],
  ])('refuses an unknown key %s', async (_, values) => {
    expect(await refusal({ values })).toMatch(/additional propert/i);
  });

  it.each([
    ['a wrong type', { emesher: { replicas: 'two' } }, '/emesher/replicas'],
    ['a wrong unit', { registry: { drainDeadline: '25 seconds' } }, '/registry/drainDeadline'],
    ['root as user', { defaults: { podSecurityContext: { runAsUser: 0 } } }, 'runAsUser'],
    ['a short digest', { acl: { image: { digest: 'sha256:12' } } }, '/acl/image/digest'],
  ])('refuses %s and names the value', async (_, values, name) => {
    expect(await refusal({ values })).toContain(name);
  });
});
