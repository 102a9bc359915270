import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import tar from 'tar-stream';
import { RELEASES_VARIABLE, releasePlatform, takeRelease } from './archive.ts';
import { download, type Variables } from './download.ts';
import { provision } from './provision.ts';
import { run } from './run.ts';

const platform = releasePlatform();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A .tar.gz with these files. */
async function archiveOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const pack = tar.pack();
  for (const [name, text] of Object.entries(files)) pack.entry({ name, mode: 0o644 }, text);
  pack.finalize();
  return gzipSync(await buffer(pack));
}

describe('a release archive', () => {
  let dir: string;
  let servers: Server[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'eventmesh-archive-'));
    servers = [];
  });
  afterEach(async () => {
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    rmSync(dir, { recursive: true, force: true });
  });
  const serve = async (handler: RequestListener): Promise<string> => {
    const server = createServer(handler);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const stem = `server-v1.2.3-${platform}`;
  const program = '#!/bin/sh\necho "server: v1.2.3"\n';
  const take = (pin: string, base: string, env: Variables = {}) =>
    takeRelease({
      name: 'server',
      base: (version) => `${base}/v${version}`,
      sha256: { [platform]: pin },
    })({ folder: dir, version: '1.2.3', say: () => undefined, env });

  it('is downloaded through redirects, checked, and gives its one binary', async () => {
    const bytes = await archiveOf({
      [`${stem}/README.md`]: 'read me',
      [`${stem}/server`]: program,
      '../escaped': 'no',
    });
    const base = await serve((request, response) => {
      if (request.url === `/v1.2.3/${stem}.tar.gz`) {
        response.writeHead(302, { location: '/elsewhere' }).end();
      } else response.writeHead(request.url === '/elsewhere' ? 200 : 404).end(bytes);
    });
    const binary = await take(sha256(bytes), base);
    expect(await run(binary, [])).toBe('server: v1.2.3\n');
    expect(readdirSync(dir)).toEqual(['server']);
    expect(existsSync(join(dir, '../escaped'))).toBe(false);
  });

  it('of another hash than the pinned one is refused and not kept', async () => {
    const bytes = await archiveOf({ [`${stem}/server`]: program });
    const base = await serve((_, response) => response.end(bytes));
    const pin = 'f'.repeat(64);
    await expect(take(pin, base)).rejects.toThrow(
      `${base}/v1.2.3/${stem}.tar.gz: has SHA-256 ${sha256(bytes)}, but ${pin} is pinned`,
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  it('without the binary is refused', async () => {
    const bytes = await archiveOf({ 'other/server': program });
    const base = await serve((_, response) => response.end(bytes));
    await expect(take(sha256(bytes), base)).rejects.toThrow(`there is no ${stem}/server in`);
  });

  it.each([
    ['is not there', 404, {}, 'answered 404'],
    ['redirects for ever', 302, { location: '/again' }, 'redirected more than 5 times'],
    ['redirects to a file', 302, { location: 'file:///etc/passwd' }, 'file: is not http or https'],
  ])('that %s is an error that names the address', async (_, status, headers, problem) => {
    const base = await serve((__, response) => response.writeHead(status, headers).end());
    await expect(take('0'.repeat(64), base)).rejects.toThrow(problem);
    await expect(take('0'.repeat(64), base)).rejects.toThrow(`${base}/v1.2.3/${stem}.tar.gz`);
  });

  it('comes through the proxy that the environment names', async () => {
    const asked: (string | undefined)[] = [];
    const proxy = await serve((request, response) => {
      asked.push(request.url);
      response.end('hello');
    });
    const file = join(dir, 'file');
    await download('http://releases.invalid/a', file, sha256(Buffer.from('hello')), {
      HTTP_PROXY: proxy,
    });
    expect(readFileSync(file, 'utf8')).toBe('hello');
    expect(asked).toEqual(['http://releases.invalid/a']);
  });

  it('is the last way to a server; one that fails its pin leaves nothing in the cache', async () => {
    const mirror = await serve((_, response) => response.end('not the release'));
    const cache = join(dir, 'cache');
    const message = await provision('etcd', {
      env: { EVENTMESH_TOOL_CACHE: cache, PATH: '', [RELEASES_VARIABLE]: mirror },
      say: () => undefined,
    }).catch((error: Error) => error.message);
    expect(message).toContain('could not be built by the Go toolchain: there is no `go` on PATH');
    expect(message).toContain(
      `could not be taken from the release archive: ${mirror}/etcd-v3.7.1-${platform}.tar.gz: has SHA-256`,
    );
    expect(message).toContain('Either install etcd 3.6 or newer');
    expect(readdirSync(cache)).toEqual([]);
  });
});
