/**
 * Runs one project's tests: `node tools/repo/src/jest.ts <project root> [jest arguments]`.
 * The machine-readable result goes to dist/test/<project>.json, where `npm test` adds it up.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const workspace = resolve(import.meta.dirname, '../../..');
const [projectRoot, ...extra] = process.argv.slice(2);
if (projectRoot === undefined) {
  process.stderr.write('usage: node tools/repo/src/jest.ts <project root> [jest arguments]\n');
  process.exit(64);
}
const root = resolve(workspace, projectRoot);
const { name } = JSON.parse(readFileSync(join(root, 'project.json'), 'utf8')) as { name: string };
const results = join(workspace, 'dist/test');
mkdirSync(results, { recursive: true });
const config = join(results, `${name}.config.mjs`);
writeFileSync(
  config,
  `import { preset } from ${JSON.stringify(join(workspace, 'jest.preset.mjs'))};\nexport default preset(${JSON.stringify(root)});\n`,
);
const run = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join(workspace, 'node_modules/jest/bin/jest.js'),
    '--config',
    config,
    '--passWithNoTests',
    '--json',
    '--outputFile',
    join(results, `${name}.json`),
    ...extra,
  ],
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
);
process.exit(run.status ?? 1);
