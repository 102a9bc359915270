import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MESH_CODES, MeshError } from '@eventmesh/errors';
import type { World } from './cli.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { errorOf } from './http-client.ts';
import { buildProgram, everyCommand } from './program.ts';
import { faultText, runIn } from './run.ts';

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function mesh(...args: string[]): Promise<Result> {
  let out = '';
  let err = '';
  const world: World = {
    env: {},
    folder: tmpdir(),
    interrupted: new AbortController().signal,
    exit: () => undefined,
    output: (json) => ({
      json,
      terminal: false,
      write: (text) => {
        out += text;
      },
      note: (text) => {
        err += text;
      },
    }),
  };
  const code = await runIn(world, args, (text) => {
    err += text;
  });
  return { code, out, err };
}

const world: World = {
  env: {},
  folder: tmpdir(),
  interrupted: new AbortController().signal,
  exit: () => undefined,
};
const commands = [...everyCommand(buildProgram(world))];

describe('the command line', () => {
  it('prints help with examples and exit codes', async () => {
    const { code, out } = await mesh('--help');
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/Examples:/);
    for (const exit of Object.values(EXIT)) expect(out).toContain(`  ${exit}  `);
  });

  it.each(commands.filter(({ parent }) => parent?.parent === null).map((each) => [each.name()]))(
    'has examples in the help of %s',
    async (name) => {
      const { code, out } = await mesh(name, '--help');
      expect(code).toBe(EXIT.ok);
      expect(out).toMatch(/Examples:\n {2}# .+\n {2}\$ .*mesh/);
    },
  );

  it('describes every command and every option', () => {
    for (const command of commands) {
      expect([command.name(), command.description()]).not.toContain('');
      for (const option of command.options) {
        expect([command.name(), option.flags, option.description]).not.toContain('');
      }
    }
  });

  it('is described whole in docs/reference/cli.md', () => {
    const page = readFileSync(
      join(import.meta.dirname, '../../../../docs/reference/cli.md'),
      'utf8',
    );
    for (const command of commands.filter(({ parent }) => parent?.parent === null)) {
      expect(page).toContain(`\`mesh ${command.name()}`);
    }
    for (const code of Object.values(EXIT)) expect(page).toContain(`| ${code} |`);
  });

  it.each([
    [['nonsense'], /unknown command 'nonsense'/],
    [['pub'], /missing required argument 'topic'/],
    [['pub', 'a', 'b', '--count', 'x'], /--count.*whole number from 1/],
    [['sub', '#', '--timeout', '5 parsecs'], /--timeout.*500ms/],
    [['sub', '#', '--timeout', '25d'], /--timeout.*at most 24d/],
    [['request', 'a', 'b', '--timeout', '6m'], /--timeout.*at most 5m/],
    [['request', 'a', 'b', '--timeout', '0s'], /--timeout.*at least 1ms/],
    [['pub', 'a', 'b', '--expires', '0s'], /--expires.*at least 1ms/],
    [['subscriptions', 'update', 'a'], /changes nothing.*--help/],
    [['topics', '--server', 'localhost:8080'], /--server.*not a URL such as http:/],
    [['topics', '-o', 'xml'], /Allowed choices are table, json/],
    [['check-config', 'x.yaml'], /required option '--service <name>'/],
  ])('exits 64 for %j and says why', async (args, message) => {
    const { code, err } = await mesh(...args);
    expect(code).toBe(EXIT.usage);
    expect(err).toMatch(message);
  });

  it('exits 69 when nothing answers at the address, which it names', async () => {
    const { code, err } = await mesh('topics', '--server', 'http://127.0.0.1:9');
    expect(code).toBe(EXIT.unavailable);
    expect(err).toMatch(/http:\/\/127\.0\.0\.1:9 does not answer.*mesh status/);
  });
});

describe('faults', () => {
  it('have an exit code for every code of the mesh', () => {
    for (const code of MESH_CODES) expect(exitCodeOf(code)).toBeGreaterThan(0);
    expect(exitCodeOf('PermissionDenied')).toBe(EXIT.permission);
    expect(exitCodeOf('Unavailable')).toBe(EXIT.unavailable);
    expect(exitCodeOf('NotFound')).toBe(EXIT.notFound);
  });

  it('name the limit and the way out', () => {
    const error = new MeshError('PermissionDenied', 'no grant for "a/b"');
    expect(faultText(error)).toMatch(/PermissionDenied 40300: no grant for "a\/b"; .*policies put/);
    const limited = new MeshError('PayloadTooLarge', 'data: too large', { limit: '1024 bytes' });
    expect(faultText(limited)).toContain('limit: 1024 bytes');
  });

  it('come from a problem of the HTTP API with everything it says', () => {
    const body = JSON.stringify({
      status: 413,
      code: 41300,
      reason: 'PAYLOAD_TOO_LARGE',
      detail: 'body: is too large',
      field: 'body',
      limit: '1024 bytes',
    });
    const error = errorOf(413, body);
    expect(error).toMatchObject({ code: 'PayloadTooLarge', message: 'body: is too large' });
    expect(error.details).toEqual({
      reason: 'PAYLOAD_TOO_LARGE',
      field: 'body',
      limit: '1024 bytes',
    });
  });

  it.each([
    [502, '<html>bad gateway</html>', 'Internal'],
    [401, '', 'Unauthenticated'],
    [503, 'null', 'Unavailable'],
  ])('come from a foreign answer %i by its status', (status, body, code) => {
    expect(errorOf(status, body).code).toBe(code);
    expect(errorOf(status, body).message).not.toBe('');
  });
});
