import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const bin = join(import.meta.dirname, '../../bin/mesh.js');
const run = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' });

describe('the mesh executable', () => {
  it('runs the command line', () => {
    expect(run(bin, '--version')).toMatchObject({ status: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it('starts itself anew on the installed Node when the running one is too old, exit code included', () => {
    // The version is all that it looks at; the second start must not see the pretended one.
    const pretend = `Object.defineProperty(process.versions, 'node', { value: '20.0.0' });
      process.argv[1] = ${JSON.stringify(bin)}; await import(${JSON.stringify(bin)});`;
    const again = (...args: string[]) =>
      run('--input-type=module', '--eval', pretend, 'placeholder', ...args);
    expect(again('--version')).toMatchObject({ status: 0, stdout: '0.1.0\n' });
    expect(again('nonsense').status).toBe(64);
  });
});
