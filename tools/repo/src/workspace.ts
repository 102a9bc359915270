import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

export const WORKSPACE = resolve(import.meta.dirname, '../../..');

/** What node_modules/.bin holds, first on PATH, and nx without its background process. */
export const TOOL_ENV: NodeJS.ProcessEnv = {
  ...process.env,
  NX_DAEMON: 'false',
  NX_TUI: 'false',
  PATH: `${join(WORKSPACE, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
};

export interface Project {
  /** Folder relative to the workspace, e.g. `libs/kv/api`. */
  readonly root: string;
  /** Name in project.json. */
  readonly name: string;
  readonly tags: readonly string[];
  readonly packageName: string;
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
}

/** Every folder with a project.json. */
export function findProjects(): Project[] {
  return walk('')
    .filter((path) => path.endsWith('/project.json'))
    .map((path) => {
      const root = path.slice(0, -'/project.json'.length);
      const { name, tags = [] } = readJson(path) as { name: string; tags?: string[] };
      const manifest = readJson(`${root}/package.json`) as {
        name: string;
        dependencies?: Record<string, string>;
        devDependencies?: Record<string, string>;
      };
      return {
        root,
        name,
        tags,
        packageName: manifest.name,
        dependencies: new Set(Object.keys(manifest.dependencies ?? {})),
        devDependencies: new Set(Object.keys(manifest.devDependencies ?? {})),
      };
    });
}

/** The files of a folder that are ours, relative to the workspace. */
export function walk(folder: string): string[] {
  return readdirSync(join(WORKSPACE, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (!entry.isDirectory()) return [path];
    return SKIPPED.has(entry.name) || entry.name.startsWith('.') ? [] : walk(path);
  });
}

const SKIPPED = new Set(['node_modules', 'dist', 'coverage', 'generated']);

export const readText = (path: string): string => readFileSync(join(WORKSPACE, path), 'utf8');
const readJson = (path: string): unknown => JSON.parse(readText(path));

/** The modules a source imports by a name, static and dynamic. */
export function importsOf(source: string): string[] {
  return ts
    .preProcessFile(source, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => !name.startsWith('.'));
}

/** `@scope/name/door` → `@scope/name`. */
export const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Files that only tests load. */
export const isTestFile = (path: string): boolean =>
  /\.(spec|e2e)\.ts$|\/(e2e|test|fixtures)\//.test(path);
