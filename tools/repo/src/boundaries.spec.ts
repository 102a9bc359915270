import { describe, expect, it } from '@jest/globals';
import { BOUNDARIES, depConstraints, HELD_TO_ANY, PLANES } from './boundaries.ts';
import { RATCHET } from './ratchet.ts';
import { findProjects, importsOf, isTestFile, packageOf, readText, walk } from './workspace.ts';

const projects = findProjects();
const ours = new Map(projects.map((project) => [project.packageName, project]));
const tagOf = (tags: readonly string[], kind: string) =>
  tags.filter((tag) => tag.startsWith(`${kind}:`)).map((tag) => tag.slice(kind.length + 1));
const sources = (root: string) => walk(root).filter((path) => path.endsWith('.ts'));
/** The folder of the longest matching project: libs/kv/api, not libs/kv. */
const imports = projects.map((project) => ({
  project,
  files: sources(project.root).map((path) => ({
    path,
    packages: new Set(importsOf(readText(path)).map(packageOf)),
  })),
}));

describe('the projects', () => {
  it('are there', () => {
    expect(projects.length).toBeGreaterThan(25);
  });

  it.each(projects.map((project) => [project.root, project] as const))(
    '%s has exactly one layer and one plane, and a name like its package',
    (_, { tags, name, packageName }) => {
      expect(tagOf(tags, 'layer')).toHaveLength(1);
      expect(tagOf(tags, 'plane')).toHaveLength(1);
      expect(tags).toHaveLength(2);
      expect(packageName).toBe(`@eventmesh/${name}`);
    },
  );
});

describe('the boundary rules', () => {
  const layers = new Set(projects.flatMap(({ tags }) => tagOf(tags, 'layer')));
  const planes = new Set(projects.flatMap(({ tags }) => tagOf(tags, 'plane')));

  it('cover every layer that exists, and name none that does not', () => {
    const ruled = BOUNDARIES.map(({ layer }) => layer);
    expect(new Set(ruled)).toEqual(layers);
    expect(ruled).toHaveLength(layers.size);
    for (const { mayImport } of BOUNDARIES) {
      for (const layer of mayImport) expect(layers).toContain(layer);
    }
    for (const layer of HELD_TO_ANY) expect(layers).toContain(layer);
  });

  it('name only planes that exist', () => {
    expect(new Set([...Object.keys(PLANES), 'any'])).toEqual(planes);
    for (const allowed of Object.values(PLANES)) {
      for (const plane of allowed) expect(planes).toContain(plane);
    }
  });

  it.each([false, true])('are never open to all (for tests: %s)', (forTests) => {
    expect(
      JSON.stringify(depConstraints(forTests)).replaceAll('"bannedExternalImports":["*"]', ''),
    ).not.toContain('*');
    for (const { layer, mayImport } of BOUNDARIES) {
      expect([layer, mayImport.length < layers.size]).toEqual([layer, true]);
    }
  });

  it('let only tests reach the test layer, and only the host and tests the tools', () => {
    const importersOf = (layer: string) =>
      BOUNDARIES.filter(({ mayImport }) => mayImport.includes(layer)).map((row) => row.layer);
    expect(importersOf('test')).toEqual(['test']);
    expect(importersOf('tool')).toEqual(['host', 'test', 'tool']);
    expect(importersOf('app')).toEqual(['host']);
  });
});

describe('the imports', () => {
  it('of every project are declared in its package.json', () => {
    const undeclared = imports.flatMap(({ project, files }) =>
      files.flatMap(({ path, packages }) =>
        [...packages]
          .filter((name) => !name.startsWith('node:') && name !== project.packageName)
          .filter((name) => !isDeclared(project, name, isTest(project, path)))
          .map((name) => `${path} imports ${name}`),
      ),
    );
    expect(undeclared).toEqual([]);
  });

  it('of apps by others are made in apps/mesh alone', () => {
    const apps = new Set(
      projects.filter(({ tags }) => tags.includes('layer:app')).map((p) => p.packageName),
    );
    const importing = imports.flatMap(({ project, files }) =>
      files
        .filter(({ packages }) =>
          [...packages].some((n) => n !== project.packageName && apps.has(n)),
        )
        .map(() => project.root),
    );
    expect([...new Set(importing)]).toEqual(['apps/mesh']);
  });

  it('of the test layer are made by tests alone', () => {
    const breaches = imports.flatMap(({ project, files }) =>
      project.tags.includes('layer:test')
        ? []
        : files
            .filter(({ path, packages }) => packages.has('@eventmesh/testing') && !isTestFile(path))
            .map(({ path }) => path),
    );
    expect(breaches).toEqual([]);
  });
});

describe('the ratchet', () => {
  it('holds only files that exist, each once', () => {
    const files = RATCHET.map(({ file }) => file);
    expect(new Set(files).size).toBe(files.length);
    for (const file of files) expect(readText(file)).not.toBe('');
  });
});

const isTest = (project: (typeof projects)[number], path: string) =>
  isTestFile(path) || project.tags.includes('layer:test');

/** Tests may also use what the whole workspace is tested with, and their own devDependencies. */
function isDeclared(project: (typeof projects)[number], name: string, inTest: boolean): boolean {
  if (project.dependencies.has(name)) return true;
  if (!inTest) return false;
  return project.devDependencies.has(name) || (!ours.has(name) && ROOT_DEV.has(name));
}

const ROOT_DEV = new Set(
  Object.keys(
    (JSON.parse(readText('package.json')) as { devDependencies: Record<string, string> })
      .devDependencies,
  ),
);
