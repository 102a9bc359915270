import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@eventmesh/proto-gen/health';
import {
  Router,
  RpcServer,
  addStandardServices,
  createClient,
  grpcTransport,
  type ServerTlsFiles,
  type TlsFiles,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'eventmesh-tls-'));
const at = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });

function makeAuthority(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  openssl(
    'req',
    '-x509',
    ...key,
    ...subject,
    '-keyout',
    at(`${name}.key`),
    '-out',
    at(`${name}.crt`),
  );
}

function makeCertificate(name: string, authority: string): void {
  writeFileSync(at('san.ext'), 'subjectAltName=IP:127.0.0.1');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at('csr'));
  const ca = ['-CA', at(`${authority}.crt`), '-CAkey', at(`${authority}.key`), '-CAcreateserial'];
  const out = ['-days', '1', '-extfile', at('san.ext'), '-out', at(`${name}.crt`)];
  openssl('x509', '-req', '-in', at('csr'), ...ca, ...out);
}

const pair = (name: string) => ({ certFile: at(`${name}.crt`), keyFile: at(`${name}.key`) });
const trust = { caFile: at('ours.crt') };

beforeAll(() => {
  makeAuthority('ours');
  makeAuthority('theirs');
  makeCertificate('server', 'ours');
  makeCertificate('client', 'ours');
  makeCertificate('stranger', 'theirs');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a caller with these files hears from a server with those. */
async function call(server: ServerTlsFiles, client: TlsFiles | undefined): Promise<string> {
  const router = new Router();
  addStandardServices(router, () => true);
  const rpc = new RpcServer(router, { port: 0, tls: server });
  await rpc.start();
  const transport = grpcTransport({
    address: rpc.address,
    timeoutMs: 2000,
    ...(client === undefined ? {} : { tls: client }),
  });
  try {
    const { status } = await createClient(Health, transport).check({});
    return status === Status.SERVING ? 'serving' : 'not serving';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    transport.close();
    rpc.stop();
  }
}

const serverFiles = { ...pair('server'), ...trust };

describe('a server with TLS files', () => {
  it.each([
    ['a certificate of the trusted authority', { ...trust, ...pair('client') }, 'serving'],
    ['no certificate', trust, 'Unavailable'],
    ['a certificate of another authority', { ...trust, ...pair('stranger') }, 'Unavailable'],
    ['no TLS', undefined, 'Unavailable'],
  ])('that requires client certificates answers a caller with %s: %#', async (_, client, heard) => {
    expect(await call(serverFiles, client)).toBe(heard);
    expect(await call({ ...serverFiles, clientCertificates: 'required' }, client)).toBe(heard);
  });

  it('serves callers without a certificate when it requires none', async () => {
    expect(await call({ ...serverFiles, clientCertificates: 'none' }, trust)).toBe('serving');
    expect(await call(pair('server'), trust)).toBe('serving');
  });

  it('is not believed by a client that trusts another authority', async () => {
    const client = { caFile: at('theirs.crt') };
    expect(await call({ ...serverFiles, clientCertificates: 'none' }, client)).toBe('Unavailable');
  });

  it.each([
    ['half of a key pair', { certFile: at('server.crt') }, 'grpc.tls'],
    [
      'client certificates that nothing could verify',
      { ...pair('server'), clientCertificates: 'required' as const },
      'grpc.tls.caFile',
    ],
  ])('does not start with %s', async (_, files, field) => {
    const rpc = new RpcServer(new Router(), { port: 0, tls: files });
    await expect(rpc.start()).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
  });
});
