/** `npm run generate`: writes what is generated and committed (gRPC code, reference pages) anew. */
import { runCommand } from './checks/check.ts';
import { writeReference } from './reference/pages.ts';

const failed = await runCommand('buf', 'generate');
for (const problem of failed) process.stderr.write(`${problem}\n`);
if (failed.length > 0) process.exit(1);
process.stdout.write('libs/proto-gen/src/generated written\n');
for (const page of await writeReference()) process.stdout.write(`${page} written\n`);
const chart = await runCommand('node', 'deploy/chart-tests/src/generate.ts');
for (const problem of chart) process.stderr.write(`${problem}\n`);
if (chart.length > 0) process.exit(1);
process.stdout.write('deploy/helm/eventmesh/values.schema.json written\n');
