import { ProvisionError } from './error.ts';
import { provision } from './provision.ts';
import { toolNamed, TOOL_NAMES } from './tools.ts';

/** `node tools/provision/src/main.ts nats-server etcd`: prints the path of each, one per line. */
const names = process.argv.slice(2);
const tools = names.map(toolNamed);
if (names.length === 0 || tools.includes(undefined)) {
  process.stderr.write(`usage: main.ts TOOL...   with TOOL one of ${TOOL_NAMES.join(', ')}\n`);
  process.exit(64);
}
for (const tool of tools) {
  if (tool === undefined) continue;
  try {
    process.stdout.write(`${await provision(tool.name)}\n`);
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
