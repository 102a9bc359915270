import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { findOnPath } from './find.ts';
import { run } from './run.ts';
import type { MakeContext } from './tools.ts';

export interface GoProgram {
  readonly name: string;
  /** The module, whose root package is the program. */
  readonly module: string;
}

/**
 * Builds a Go program from the module proxy. It is required from a module of our own rather than
 * by `go install`, which refuses modules with replace directives (etcd's server has them).
 */
export function buildGo({ name, module }: GoProgram) {
  return async ({ folder, version, say, env: variables }: MakeContext): Promise<string> => {
    const go = findOnPath('go', variables['PATH'] ?? '');
    if (go === undefined) throw new Error('there is no `go` on PATH');
    say(`building ${name} ${version} with ${go}; this takes about a minute`);
    writeFileSync(join(folder, 'go.mod'), 'module build\n\ngo 1.25\n');
    const env = { GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' };
    await run(go, ['get', `${module}@v${version}`], { cwd: folder, env });
    const build = ['build', '-trimpath', '-ldflags=-s -w', '-o', name, module];
    await run(go, build, { cwd: folder, env });
    return join(folder, name);
  };
}
