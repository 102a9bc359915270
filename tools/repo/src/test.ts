/** Runs every project's tests through nx and closes with one line over all of them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const workspace = resolve(import.meta.dirname, '../../..');
const results = join(workspace, 'dist/test');
rmSync(results, { recursive: true, force: true });

const run = spawnSync(
  process.execPath,
  [
    join(workspace, 'node_modules/nx/dist/bin/nx.js'),
    'run-many',
    '-t',
    'test',
    '--parallel=2',
    '--output-style=static',
    ...process.argv.slice(2),
  ],
  { cwd: workspace, stdio: 'inherit', env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' } },
);

let passed = 0;
let failed = 0;
let skipped = 0;
const broken: string[] = [];
for (const file of existsSync(results) ? readdirSync(results) : []) {
  if (!file.endsWith('.json')) continue;
  const report = JSON.parse(readFileSync(join(results, file), 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numRuntimeErrorTestSuites: number;
  };
  passed += report.numPassedTests;
  failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
  skipped += report.numPendingTests;
  if (report.numFailedTests + report.numRuntimeErrorTestSuites > 0) broken.push(file);
}
// A project whose run died before it could report is a failure, never a smaller total.
if (run.status !== 0 && failed === 0) failed = 1;
if (broken.length > 0) process.stdout.write(`failing: ${broken.join(', ')}\n`);
process.stdout.write(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`);
process.exit(failed === 0 && run.status === 0 && passed > 0 ? 0 : 1);
