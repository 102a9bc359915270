import { describe, expect, it } from '@jest/globals';
import type { MeshError } from '@eventmesh/errors';
import { parseAuthorization } from './acl-credential.ts';

const basic = (text: string | Uint8Array) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('parseAuthorization', () => {
  it.each([
    ['Basic', basic('alice:pa:ss'), { user: 'alice', password: 'pa:ss' }],
    [
      'Basic in another case',
      basic('t/alice:').replace('Basic', 'bAsIc'),
      { user: 't/alice', password: '' },
    ],
    ['Basic beyond ASCII', basic('zoë:pässword'), { user: 'zoë', password: 'pässword' }],
  ])('reads %s as user and password (RFC 7617)', (_, header, value) => {
    expect(parseAuthorization(header)).toEqual({ credential: { case: 'password', value } });
  });

  it('tells API keys and JWTs apart (RFC 6750)', () => {
    expect(parseAuthorization('Bearer em_12_ab-_c')).toEqual({
      credential: { case: 'apiKey', value: 'em_12_ab-_c' },
    });
    expect(parseAuthorization('bearer aa.bb.cc')).toEqual({
      credential: { case: 'jwt', value: 'aa.bb.cc' },
    });
  });

  it.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['a scheme alone', 'Basic'],
    ['another scheme', 'Digest SECRETVALUE'],
    ['two values', 'Bearer SECRETVALUE SECRETVALUE'],
    ['what is not base64', 'Basic SECRET*VALUE'],
    ['base64 without a colon', basic('SECRETVALUE')],
    ['an empty user', basic(':SECRETVALUE')],
    ['bytes that are not UTF-8', basic(Uint8Array.of(0x61, 0x3a, 0xff, 0xfe))],
    ['an opaque token', 'Bearer SECRETVALUE'],
    ['a JWT of five parts', 'Bearer SECRETVALUE.b.c.d.e'],
    ['a header beyond the limit', `Bearer ${'SECRETVALUE'.repeat(2000)}`],
    ['a line break', 'Bearer a.b.c\r\nx: y'],
  ])('refuses %s as Unauthenticated without repeating it', (_, header) => {
    const thrown = caught(() => parseAuthorization(header));
    expect(thrown.code).toBe('Unauthenticated');
    expect(thrown.details.field).toBe('authorization');
    expect(thrown.message).not.toContain('SECRET');
  });
});

function caught(run: () => unknown): MeshError {
  try {
    run();
  } catch (error) {
    return error as MeshError;
  }
  throw new Error('nothing was thrown');
}
