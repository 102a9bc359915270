import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKSPACE } from '../workspace.ts';
import { commandCheck, runCommand, type Check } from './check.ts';

const GENERATED = 'libs/proto-gen/src/generated';

export const protoLint = commandCheck('proto lint', 'buf', 'lint');

/** Generates into a folder of its own and compares, so that a check never changes the tree. */
export const protoGenerated: Check = {
  name: 'proto generated code',
  async run() {
    const fresh = mkdtempSync(join(tmpdir(), 'eventmesh-generated-'));
    try {
      const failed = await runCommand('buf', 'generate', '--output', fresh);
      if (failed.length > 0) return failed;
      const stale = differences(join(WORKSPACE, GENERATED), join(fresh, GENERATED));
      return stale.map((file) => `${GENERATED}/${file} is not what proto/ says; npm run generate`);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  },
};

function differences(committed: string, fresh: string): string[] {
  const [old, now] = [committed, fresh].map((root) => {
    const files = readdirSync(root, { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map((f) => join(f.parentPath, f.name));
    return new Map(paths.map((path) => [path.slice(root.length + 1), readFileSync(path, 'utf8')]));
  });
  const names = new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])]);
  return [...names].filter((name) => old?.get(name) !== now?.get(name)).sort();
}

/** The API as last released; written by `buf build -o proto/released.binpb` with each release. */
const RELEASED = 'proto/released.binpb';

export const protoBreaking = commandCheck(
  'proto breaking',
  'buf',
  'breaking',
  '--against',
  RELEASED,
);
