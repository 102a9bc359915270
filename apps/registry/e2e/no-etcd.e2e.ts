import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { tempDir } from '@eventmesh/testing';

const MAIN = join(import.meta.dirname, '../src/main.ts');

interface Line {
  readonly level: string;
  readonly msg: string;
}

describe('a registry whose etcd is away', () => {
  it('says so, serves nothing from memory instead, and stops when it is told to', async () => {
    const dir = tempDir('registry-no-etcd');
    // Port 1 is reserved and nobody listens on it.
    const kv = { kind: 'etcd', dir: 'state', etcd: { hosts: ['http://127.0.0.1:1'] } };
    const config = { site: 'west', grpc: { port: 0 }, admin: { port: 0 }, kv };
    writeFileSync(join(dir.path, 'config.json'), JSON.stringify(config));
    const child = spawn(process.execPath, [MAIN, '--config', 'config.json'], {
      cwd: dir.path,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
    try {
      const lines: Line[] = [];
      for await (const text of createInterface({ input: child.stdout })) {
        const line = JSON.parse(text) as Line;
        lines.push(line);
        // The second complaint: it has tried again, and not gone on without.
        const complaints = lines.filter(({ msg }) => msg === 'the control state failed').length;
        if (complaints === 2 && line.msg === 'the control state failed') child.kill('SIGTERM');
      }
      const [code] = await ended;
      expect(code).toBe(0);
      expect(lines.map(({ msg }) => msg)).not.toContain('ready');
      expect(lines.map(({ msg }) => msg)).toContain('stopped while starting');
      expect(existsSync(join(dir.path, 'state'))).toBe(false);
    } finally {
      child.kill('SIGKILL');
      dir.remove();
    }
  });
});
