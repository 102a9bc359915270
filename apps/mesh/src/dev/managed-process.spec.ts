import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ManagedProcess, type ProcessObserver } from './managed-process.ts';

/** Says that it is ready, and ends in order at SIGTERM. */
const GOOD = `const timer = setInterval(() => undefined, 1000);
  process.on('SIGTERM', () => { clearInterval(timer); process.exit(0); });
  process.stdout.write('{"level":"info","msg":"ready"}\\n');`;

describe('a managed process', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-process-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const program = (name: string, source: string): string => {
    const path = join(folder, `${name}.mjs`);
    writeFileSync(path, source);
    return path;
  };
  const manage = (name: string, source: string, observer: Partial<ProcessObserver> = {}) =>
    new ManagedProcess(
      { name, args: [program(name, source)], logFile: join(folder, `${name}.log`) },
      {
        crashed: () => undefined,
        recovered: () => undefined,
        failed: () => undefined,
        ...observer,
      },
    );

  it('is started once it says that it is ready, logs to its file, and stops in order', async () => {
    const process = manage('good', GOOD);
    await process.start();
    expect(process.pid).toBeGreaterThan(0);
    expect(await process.stop()).toBe(true);
    expect(readFileSync(join(folder, 'good.log'), 'utf8')).toContain('"msg":"ready"');
  });

  it('is started again after it ended by itself, and both is told', async () => {
    const crashed = Promise.withResolvers<string>();
    const recovered = Promise.withResolvers<string>();
    const process = manage('fragile', GOOD, {
      crashed: (name, reason, pauseMs) => crashed.resolve(`${name} ${reason} ${pauseMs}`),
      recovered: recovered.resolve,
    });
    await process.start();
    const first = process.pid ?? 0;
    globalThis.process.kill(first, 'SIGKILL');
    expect(await crashed.promise).toBe('fragile signal SIGKILL 500');
    expect(await recovered.promise).toBe('fragile');
    expect(process.pid).not.toBe(first);
    expect(await process.stop()).toBe(true);
  });

  it('that ends before it is ready is an error with its last words', async () => {
    const source = `process.stdout.write('{"level":"fatal","msg":"it failed","err":{"message":"no disk"}}\\n');
      process.stderr.write('and more\\n'); process.exitCode = 1;`;
    await expect(manage('bad', source).start()).rejects.toThrow(
      /bad did not start \(exit code 1\): [^]*it failed: no disk/,
    );
  });

  it('that does not end in order is told by its stop', async () => {
    const process = manage('rude', GOOD.replace('process.exit(0)', 'process.exit(3)'));
    await process.start();
    expect(await process.stop()).toBe(false);
  });

  it('is told to stop when its parent is gone', async () => {
    const watcher = new URL('stop-with-parent.ts', import.meta.url).href;
    const child = spawn(process.execPath, ['--import', watcher, program('orphan', GOOD)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const code = new Promise((resolve) => child.once('close', resolve));
    // What the system does when the other end of the pipe dies.
    child.stdin.destroy();
    expect(await code).toBe(0);
  });
});
