import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Connection, type ConnectionOptions } from './connection.ts';
import { CONTEXT_PATH, writeContextFile, type ContextFile } from './context-file.ts';

const context: ContextFile = {
  version: 1,
  defaultSite: 'west',
  sites: {
    west: { http: 'http://127.0.0.1:8080', grpc: '127.0.0.1:9090' },
    east: { http: 'http://127.0.0.1:8081', grpc: '127.0.0.1:9091', acl: '127.0.0.1:7403' },
  },
  users: { admin: 'a-secret', publisher: 'p-secret' },
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const connect = (options: ConnectionOptions = {}, env: Record<string, string> = {}, at = folder) =>
  new Connection(options, env, at);
const withContext = () => writeContextFile(join(folder, CONTEXT_PATH), context);

describe('a connection', () => {
  it('takes addresses and the first user from the context file of a folder above', () => {
    withContext();
    const below = join(folder, 'a/b');
    mkdirSync(below, { recursive: true });
    const connection = connect({}, {}, below);
    expect(connection.addresses).toEqual(context.sites['west']);
    expect(connection.credential).toMatchObject({ user: 'admin', password: 'a-secret' });
  });

  it('goes to the site that is named, as the user that is named', () => {
    withContext();
    const connection = connect({ site: 'east', as: 'publisher' });
    expect(connection.addresses.grpc).toBe('127.0.0.1:9091');
    expect(connection.authorization).toBe(
      `Basic ${Buffer.from('publisher:p-secret').toString('base64')}`,
    );
  });

  it('prefers flags over the environment, and both over the context file', () => {
    withContext();
    const env = { MESH_SERVER: 'http://env', MESH_GRPC: 'env:1', MESH_API_KEY: 'em_env' };
    expect(connect({}, env).addresses).toEqual({ http: 'http://env', grpc: 'env:1' });
    expect(connect({}, env).authorization).toBe('Bearer em_env');
    const flags = connect({ server: 'http://flag', user: 'ada:pw' }, env);
    expect(flags.addresses.http).toBe('http://flag');
    expect(flags.credential).toMatchObject({ kind: 'password', user: 'ada', password: 'pw' });
  });

  it('does not mix a named server with addresses of the local mesh', () => {
    withContext();
    expect(connect({ server: 'http://elsewhere' }).addresses).toEqual({ http: 'http://elsewhere' });
  });

  it('keeps colons in passwords', () => {
    expect(connect({ user: 'ada:a:b' }).credential).toMatchObject({ password: 'a:b' });
  });

  it.each<[ConnectionOptions, RegExp]>([
    [{ site: 'moon' }, /--site moon: .* knows the sites west, east/],
    [{ user: 'nobody' }, /name:password, or name one of admin, publisher/],
    [{ user: 'a:b', apiKey: 'k' }, /either --user or --api-key/],
  ])('refuses %j with the way out', (options, message) => {
    withContext();
    expect(() => connect(options)).toThrow(message);
  });

  it('says how to get a mesh when none is known', () => {
    expect(() => connect().http()).toThrow(/mesh dev/);
    expect(() => connect().client()).toThrow(/--grpc/);
    expect(() => connect({ site: 'west' })).toThrow(/no mesh is known here/);
  });

  it('refuses a context file of another version by its name', () => {
    const path = join(folder, 'old.json');
    writeFileSync(path, '{"version":0}');
    expect(() => connect({ context: path })).toThrow(/old\.json.*start `mesh dev` anew/);
  });

  it.each([
    ['not there', 'none.json', undefined, 'NotFound'],
    ['no JSON', 'bad.json', '{', 'InvalidArgument'],
  ])('refuses a context file that is %s by its name', (_, name, text, code) => {
    const path = join(folder, name);
    if (text !== undefined) writeFileSync(path, text);
    const refusal = expect.objectContaining({ code, message: expect.stringContaining(path) });
    expect(() => connect({ context: path })).toThrow(refusal);
  });

  it('writes passwords into a file for its owner alone', () => {
    withContext();
    expect(statSync(join(folder, CONTEXT_PATH)).mode & 0o777).toBe(0o600);
  });
});
