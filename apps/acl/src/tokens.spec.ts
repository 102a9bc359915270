import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  CompactSign,
  SignJWT,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWTHeaderParameters,
  type JWTPayload,
} from 'jose';
import { fakeClock } from '@eventmesh/testing';
import { Tokens, type IssuerOptions } from './tokens.ts';

const ISSUER = 'https://issuer.example';
const clock = fakeClock();
const nowS = clock.now() / 1000;
const claims = (more: JWTPayload = {}): JWTPayload => ({
  iss: ISSUER,
  aud: 'eventmesh',
  sub: 'ann',
  roles: ['publisher'],
  exp: nowS + 300,
  iat: nowS,
  ...more,
});

const rsa = await generateKeyPair('RS256', { extractable: true });
const otherRsa = await generateKeyPair('RS256', { extractable: true });
const ec = await generateKeyPair('ES256', { extractable: true });
const publicJwk = { ...(await exportJWK(rsa.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
const otherJwk = await exportJWK(otherRsa.publicKey);
const sameKeyPss = (await importJWK(await exportJWK(rsa.privateKey), 'PS256')) as CryptoKey;
const pem = await exportSPKI(rsa.publicKey);

const options = (more: Partial<IssuerOptions> = {}): IssuerOptions => ({
  issuer: ISSUER,
  audience: ['eventmesh'],
  algorithms: ['RS256'],
  keys: { inline: JSON.stringify({ keys: [publicJwk] }), cacheMs: 600_000 },
  clockSkewMs: 30_000,
  tenant: 'default',
  nameClaim: 'sub',
  rolesClaim: 'roles',
  ...more,
});

const sign = (
  payload: JWTPayload = claims(),
  header: Partial<JWTHeaderParameters> = {},
  key: CryptoKey = rsa.privateKey,
): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(key);

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token signed with an HMAC whose key is public: the RS256 → HS256 confusion. */
const hmacToken = (secret: string): string => {
  const head = `${encode({ alg: 'HS256', typ: 'JWT', kid: 'k1' })}.${encode(claims())}`;
  return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
};

const unsigned = (alg: unknown): string => `${encode({ alg })}.${encode(claims())}.`;
const withParts = async (change: (parts: string[]) => string[]): Promise<string> =>
  change((await sign()).split('.')).join('.');

type Forged = [title: string, make: () => Promise<string> | string];
const FORGED: Forged[] = [
  ['alg none', () => unsigned('none')],
  ['alg None in another case', () => unsigned('nOnE')],
  ['no alg', () => unsigned(undefined)],
  ['alg that is a number', () => unsigned(5)],
  ['an HMAC keyed with the public PEM', () => hmacToken(pem)],
  ['an HMAC keyed with the public modulus', () => hmacToken(String(publicJwk.n))],
  ['an HMAC keyed with the empty text', () => hmacToken('')],
  ['an algorithm that is not allowed', () => sign(claims(), { alg: 'PS256' }, sameKeyPss)],
  ['another key type than the key id names', () => sign(claims(), { alg: 'ES256' }, ec.privateKey)],
  ['another key', () => sign(claims(), {}, otherRsa.privateKey)],
  ['another key under its own id', () => sign(claims(), { kid: 'k2' }, otherRsa.privateKey)],
  ['an embedded jwk', () => sign(claims(), { jwk: otherJwk }, otherRsa.privateKey)],
  ['a jku', () => sign(claims(), { jku: 'https://evil.example/keys' })],
  ['an x5u', () => sign(claims(), { x5u: 'https://evil.example/cert' })],
  ['an x5c', () => sign(claims(), { x5c: ['MIIB'] })],
  ['a crit header', () => withHeader({ alg: 'RS256', kid: 'k1', crit: ['exp'] })],
  ['a compressed payload', () => sign(claims(), { zip: 'DEF' } as never)],
  ['a kid that is a path', () => sign(claims(), { kid: '../../etc/passwd' }, otherRsa.privateKey)],
  ['a kid that is SQL', () => sign(claims(), { kid: "' or 1=1 --" }, otherRsa.privateKey)],
  ['a kid beyond the limit', () => sign(claims(), { kid: 'k'.repeat(300) })],
  ['no exp', () => sign(claims({ exp: undefined as never }))],
  ['an exp beyond the skew', () => sign(claims({ exp: nowS - 31 }))],
  ['an exp that is text', () => withPayload(claims({ exp: '9999999999' as never }))],
  ['an nbf beyond the skew', () => sign(claims({ nbf: nowS + 31 }))],
  ['an nbf that is text', () => withPayload(claims({ nbf: 'x' as never }))],
  ['no aud', () => sign(claims({ aud: undefined as never }))],
  ['another aud', () => sign(claims({ aud: 'someone-else' }))],
  ['an aud that only contains ours', () => sign(claims({ aud: 'eventmesh.evil' }))],
  ['no iss', () => sign(claims({ iss: undefined as never }))],
  ['another iss', () => sign(claims({ iss: 'https://evil.example' }))],
  ['an iss with a slash more', () => sign(claims({ iss: `${ISSUER}/` }))],
  ['no sub', () => sign(claims({ sub: undefined as never }))],
  ['a sub with a wildcard', () => sign(claims({ sub: 'ann/#' }))],
  ['a sub that is a list', () => withPayload(claims({ sub: ['ann'] as never }))],
  ['roles that are an object', () => sign(claims({ roles: { admin: true } }))],
  ['a changed payload', () => withParts(([h, , s]) => [h!, encode(claims({ sub: 'bob' })), s!])],
  ['a changed header', () => withParts(([, p, s]) => [encode({ alg: 'RS256' }), p!, `A${s}`])],
  ['no signature', () => withParts(([h, p]) => [h!, p!, ''])],
  ['a payload that is not JSON', () => withRaw('not json')],
  ['a payload that is a list', () => withRaw('[]')],
  ['five parts', () => 'a.b.c.d.e'],
  ['nothing', () => ''],
  ['dots', () => '..'],
  ['a token beyond the limit', () => sign(claims({ pad: 'x'.repeat(17_000) }))],
];

const withRaw = (payload: string, header: Record<string, unknown> = { alg: 'RS256', kid: 'k1' }) =>
  new CompactSign(Buffer.from(payload)).setProtectedHeader(header as never).sign(rsa.privateKey);
const withPayload = (payload: JWTPayload) => withRaw(JSON.stringify(payload));
const withHeader = (header: Record<string, unknown>) => {
  const head = `${encode(header)}.${encode(claims())}`;
  return `${head}.${encode('signature')}`;
};

describe('Tokens (RFC 8725)', () => {
  const tokens = new Tokens([options()], clock);

  it('accepts what the issuer signed, with tenant, name, roles and end from it', async () => {
    expect(await tokens.verify(await sign())).toEqual({
      tenant: 'default',
      name: 'ann',
      roles: ['publisher'],
      expiresMs: (nowS + 300) * 1000,
    });
  });

  it.each(FORGED)('refuses %s', async (_, make) => {
    expect(await tokens.verify(await make())).toBeUndefined();
  });

  it('tolerates clocks that differ by the skew and no more', async () => {
    expect(await tokens.verify(await sign(claims({ exp: nowS - 29 })))).toBeDefined();
    expect(await tokens.verify(await sign(claims({ nbf: nowS + 29 })))).toBeDefined();
  });

  it('insists on the typ when one is configured', async () => {
    const strict = new Tokens([options({ typ: 'at+jwt' })], clock);
    expect(await strict.verify(await sign())).toBeUndefined();
    expect(await strict.verify(await sign(claims(), { typ: 'JWT' }))).toBeUndefined();
    expect(await strict.verify(await sign(claims(), { typ: 'at+jwt' }))).toBeDefined();
  });

  it('does not take the key of one issuer for a token of another', async () => {
    const other = { ...otherJwk, kid: 'k1' };
    const both = new Tokens(
      [
        options(),
        options({
          issuer: 'https://b.example',
          keys: { inline: JSON.stringify({ keys: [other] }), cacheMs: 1 },
        }),
      ],
      clock,
    );
    const forged = await sign(claims({ iss: 'https://b.example' }));
    expect(await both.verify(forged)).toBeUndefined();
  });

  it('maps claims by name and by path, own properties only', async () => {
    const mapped = new Tokens(
      [
        options({
          tenant: undefined,
          tenantClaim: 'org',
          nameClaim: 'https://x.y/name',
          rolesClaim: 'realm_access.roles',
        }),
      ],
      clock,
    );
    const more = { org: 'acme', 'https://x.y/name': 'bob', realm_access: { roles: ['a', 'b c'] } };
    expect(await mapped.verify(await sign(claims(more)))).toMatchObject({
      tenant: 'acme',
      name: 'bob',
      roles: ['a'],
    });
    expect(await mapped.verify(await sign(claims({ ...more, org: 'a/b' })))).toBeUndefined();
    const strange = new Tokens([options({ nameClaim: 'constructor.name' })], clock);
    expect(await strange.verify(await sign())).toBeUndefined();
  });
});

describe('keys from a URL', () => {
  let server: Server;
  let answer: { status: number; body: string };
  let loads = 0;
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;

  beforeAll(async () => {
    server = createServer((_, response) => {
      loads++;
      response.writeHead(answer.status, { location: '/elsewhere' }).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const remote = () => new Tokens([options({ keys: { url: url(), cacheMs: 600_000 } })], clock);

  it('are loaded once and then used from memory, though the issuer is away', async () => {
    answer = { status: 200, body: JSON.stringify({ keys: [publicJwk] }) };
    loads = 0;
    const tokens = remote();
    expect(await tokens.verify(await sign())).toBeDefined();
    answer = { status: 500, body: '' };
    expect(await tokens.verify(await sign())).toBeDefined();
    expect(loads).toBe(1);
  });

  it.each([
    ['an error', 500, ''],
    ['a redirect', 302, ''],
    ['what is not JSON', 200, '<html>'],
    ['no keys', 200, '{"keys":[]}'],
    ['a symmetric key', 200, '{"keys":[{"kty":"oct","k":"AAAA"}]}'],
    ['more than the limit', 200, JSON.stringify({ keys: [publicJwk], pad: 'x'.repeat(300_000) })],
  ])('that are %s make it Unavailable, never accepted', async (_, status, body) => {
    answer = { status, body };
    await expect(remote().verify(await sign())).rejects.toMatchObject({ code: 'Unavailable' });
  });
});
