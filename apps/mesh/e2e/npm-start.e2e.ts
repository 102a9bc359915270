import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { tempDir } from '@eventmesh/testing';

const ROOT = join(import.meta.dirname, '../../..');

describe('npm start', () => {
  it('exits 0 after Ctrl-C, which reaches npm, its shell and the mesh alike', async () => {
    const dir = tempDir('npm-start');
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: { start: string };
    };
    // The same script, in a folder of its own, where it leaves its data.
    const start = scripts.start.replace('apps/', `${ROOT}/apps/`);
    expect(start).not.toBe(scripts.start);
    writeFileSync(join(dir.path, 'package.json'), JSON.stringify({ scripts: { start } }));
    const args = ['start', '--', '--ports', '0', '--no-sample', '--json'];
    const npm = spawn('npm', args, {
      cwd: dir.path,
      // A process group of its own, as a terminal makes one.
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(npm, 'exit');
    try {
      let ledger = false;
      for await (const line of createInterface({ input: npm.stdout })) {
        if (line.startsWith('{"started"')) process.kill(-(npm.pid ?? 0), 'SIGINT');
        ledger ||= line.startsWith('{"ledger"');
      }
      expect(await ended).toEqual([0, null]);
      expect(ledger).toBe(true);
    } finally {
      npm.kill('SIGKILL');
      dir.remove();
    }
  }, 60_000);
});
