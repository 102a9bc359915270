import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { freePorts } from './free-ports.ts';
import { withLock } from './lock.ts';
import { provision } from './provision.ts';
import { isAtLeast, parseVersion } from './version.ts';

describe('free ports', () => {
  it('differ, and are none that a system gives to who asks for any', async () => {
    const ports = await freePorts(20);
    expect(new Set(ports).size).toBe(20);
    for (const port of ports) expect(port).toBeLessThan(32_768);
  });
});

describe('versions', () => {
  it.each([
    ['2.14.3', '2.14.3', true],
    ['2.14.10', '2.14.3', true],
    ['2.9.99', '2.14.0', false],
    ['3.0.0', '2.14.3', true],
    ['3.6', '3.6.0', true],
  ])('%s is at least %s: %s', (a, b, answer) => {
    expect(isAtLeast(a, b)).toBe(answer);
  });

  it('are found in what tools print', () => {
    expect(parseVersion('nats-server: v2.15.2')).toBe('2.15.2');
    expect(parseVersion('no version')).toBeUndefined();
  });
});

describe('provision', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'eventmesh-provision-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  /** A program that prints a version, as a script of its own. */
  const program = (name: string, version: string) => {
    const file = join(dir, name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, `#!/bin/sh\necho "${version}"\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const lines: string[] = [];
  const find = (env: Record<string, string>) =>
    provision('nats-server', {
      env: {
        EVENTMESH_TOOL_CACHE: join(dir, 'cache'),
        PATH: '',
        // Nobody answers there: no test leaves this machine.
        EVENTMESH_RELEASES_URL: 'http://127.0.0.1:1',
        ...env,
      },
      say: (line) => lines.push(line),
    });
  const path = (...folders: string[]) => folders.map((folder) => join(dir, folder)).join(':');

  it('takes the binary the environment names, before all others', async () => {
    program('bin/nats-server', 'nats-server: v2.15.2');
    const given = program('given', 'nats-server: v2.14.3');
    expect(await find({ EVENTMESH_NATS_SERVER: given, PATH: path('bin') })).toBe(given);
  });

  it.each([
    ['is not there', undefined, 'is not an executable file'],
    ['is too old', 'v2.10.0', 'is version 2.10.0, older than 2.14.3'],
    ['tells no version', 'hello', 'does not tell its version'],
  ])('refuses a named binary that %s rather than look on', async (_, version, problem) => {
    program('bin/nats-server', 'nats-server: v2.15.2');
    const given = version === undefined ? join(dir, 'absent') : program('given', version);
    const answer = find({ EVENTMESH_NATS_SERVER: given, PATH: path('bin') });
    await expect(answer).rejects.toThrow(`EVENTMESH_NATS_SERVER=${given} ${problem}`);
  });

  it('takes a new enough binary from PATH', async () => {
    const onPath = program('bin/nats-server', 'nats-server: v2.14.3');
    expect(await find({ PATH: path('none', 'bin') })).toBe(onPath);
  });

  it('takes what the tool cache holds when PATH has only an old one', async () => {
    program('bin/nats-server', 'nats-server: v2.9.0');
    const cached = program('cache/nats-server-2.15.2/nats-server', 'nats-server: v2.15.2');
    writeFileSync(join(dir, 'cache/nats-server-2.15.2/binary'), cached);
    expect(await find({ PATH: path('bin') })).toBe(cached);
  });

  it('names every way it tried and what to install when none works', async () => {
    const savedPath = process.env['PATH'];
    const old = program('bin/nats-server', 'nats-server: v2.9.0');
    process.env['PATH'] = path('bin');
    try {
      const message = await find({ PATH: path('bin') }).catch((error: Error) => error.message);
      for (const part of [
        'nats-server 2.14.3 or newer is needed',
        'EVENTMESH_NATS_SERVER is not set',
        `${old} on PATH is version 2.9.0, older than 2.14.3`,
        `no nats-server 2.15.2 or 2.15.0 in the tool cache ${join(dir, 'cache')}`,
        'could not be built by the Go toolchain: there is no `go` on PATH',
        'could not be taken from the release archive: ',
        '.tar.gz: ',
        'Either install nats-server 2.14.3 or newer, or the Go toolchain',
        'or set EVENTMESH_NATS_SERVER to the path of a binary',
      ]) {
        expect(message).toContain(part);
      }
    } finally {
      process.env['PATH'] = savedPath;
    }
  });
});

describe('withLock', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'eventmesh-lock-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  it('lets one process at a time through', async () => {
    // Each process reads a number and writes it back one higher: without the lock some get lost.
    const script = `
      const { withLock } = await import(process.argv[1]);
      const { readFileSync, writeFileSync } = await import('node:fs');
      const { setTimeout: sleep } = await import('node:timers/promises');
      const [, , file] = process.argv;
      await withLock(file + '.lock', () => {}, async () => {
        const count = Number(readFileSync(file, 'utf8'));
        await sleep(30);
        writeFileSync(file, String(count + 1));
      });
    `;
    const file = join(dir, 'count');
    writeFileSync(file, '0');
    const args = ['--input-type=module', '-e', script, import.meta.resolve('./lock.ts'), file];
    const codes = await Promise.all(
      [1, 2, 3, 4].map(
        () =>
          new Promise((resolve) => {
            spawn(process.execPath, args, { stdio: 'inherit' }).once('close', resolve);
          }),
      ),
    );
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(readFileSync(file, 'utf8')).toBe('4');
  });

  it('takes over from a process that died', async () => {
    const child = spawn(process.execPath, ['-e', '0']);
    await new Promise((resolve) => child.once('close', resolve));
    const file = join(dir, 'stale.lock');
    writeFileSync(file, String(child.pid));
    expect(
      await withLock(
        file,
        () => undefined,
        async () => 'mine',
      ),
    ).toBe('mine');
  });
});
