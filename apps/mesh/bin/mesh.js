#!/usr/bin/env node
// Plain JavaScript that any Node from 18 up can read. The sources need Node 24, which runs
// TypeScript as it is; on an older one this starts itself anew with the one that npm installed.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const MAJOR_MIN = 24;

if (Number(process.versions.node.split('.')[0]) >= MAJOR_MIN) {
  await import(new URL('../src/main.ts', import.meta.url).href);
} else {
  const node = findNode();
  if (node === undefined) process.exitCode = 64;
  else startAgain(node);
}

function findNode() {
  try {
    const packageFile = createRequire(import.meta.url).resolve('node/package.json');
    return join(dirname(packageFile), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch {
    process.stderr.write(
      `mesh: this is Node ${process.versions.node} and Node ${MAJOR_MIN} is needed; ` +
        'run `npm install` in the project, which brings one along\n',
    );
    return undefined;
  }
}

function startAgain(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  // A signal may be meant for this process alone; the child decides what becomes of it.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`mesh: cannot start ${node}: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
