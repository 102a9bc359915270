import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const WORKSPACE = resolve(import.meta.dirname, '../../../..');

/** The exports of a source file, found by path: pages are made from apps that no tool depends on. */
export const load = (path: string): Promise<Record<string, unknown>> =>
  import(pathToFileURL(join(WORKSPACE, path)).href) as Promise<Record<string, unknown>>;

/** Paths of all source files of this name under apps and libs, in order. */
export function findSources(name: string): string[] {
  return ['apps', 'libs']
    .flatMap((root) => walk(root))
    .filter((path) => path.endsWith(`/src/${name}`))
    .sort();
}

function walk(folder: string): string[] {
  return readdirSync(join(WORKSPACE, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return [];
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? walk(path) : [path];
  });
}
