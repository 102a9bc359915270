/**
 * `npm test [-- nx arguments]`: every project's tests through nx, closed by one line over all of them.
 * A project that did not change since it last passed is answered from nx's cache.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { addUp, closingLine, type JestReport } from './test-totals.ts';
import { findProjects, TOOL_ENV, WORKSPACE } from './workspace.ts';

const results = join(WORKSPACE, 'dist/test');
rmSync(results, { recursive: true, force: true });

const nxArguments = process.argv.slice(2);
const nx = join(WORKSPACE, 'node_modules/nx/dist/bin/nx.js');
const run = spawnSync(
  process.execPath,
  [nx, 'run-many', '-t', 'test', '--parallel=2', '--output-style=static', ...nxArguments],
  { cwd: WORKSPACE, stdio: 'inherit', env: TOOL_ENV },
);

const found = existsSync(results)
  ? readdirSync(results)
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length))
  : [];
// With arguments of its own nx may have run a part only: then what reported is what counts.
const expected = nxArguments.length > 0 ? found : findProjects().map(({ name }) => name);
const reports = new Map(
  expected.map((name) => [
    name,
    found.includes(name)
      ? (JSON.parse(readFileSync(join(results, `${name}.json`), 'utf8')) as JestReport)
      : undefined,
  ]),
);

const totals = addUp(reports);
for (const failure of totals.failures) process.stdout.write(`FAILED ${failure}\n`);
const nothingRan = totals.passed === 0;
if (run.status !== 0 && totals.failed === 0) {
  process.stdout.write('FAILED nx ended with an error although no test failed; see above\n');
}
process.stdout.write(`${closingLine(totals)}\n`);
process.exit(totals.failed === 0 && run.status === 0 && !nothingRan ? 0 : 1);
