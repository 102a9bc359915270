#!/usr/bin/env node
// Plain JavaScript that any Node from 18 up can read. The sources need Node 24, which runs
// TypeScript as it is; on an older one this starts itself anew with the one that npm installed.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const MAJOR_MIN = 24;
const main = new URL('../src/main.ts', import.meta.url);

if (Number(process.versions.node.split('.')[0]) >= MAJOR_MIN) {
  await import(main.href);
} else {
  process.exitCode = again();
}

function again() {
  let node;
  try {
    const packageFile = createRequire(import.meta.url).resolve('node/package.json');
    node = join(dirname(packageFile), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch {
    process.stderr.write(
      `mesh: this is Node ${process.versions.node} and Node ${MAJOR_MIN} is needed; ` +
        'run `npm install` in the project, which brings one along\n',
    );
    return 64;
  }
  // Signals of the terminal go to both processes; the child decides what becomes of them.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
  const run = spawnSync(node, [process.argv[1], ...process.argv.slice(2)], { stdio: 'inherit' });
  if (run.error) process.stderr.write(`mesh: cannot start ${node}: ${run.error.message}\n`);
  return run.status ?? 1;
}
