import { describe, expect, it } from '@jest/globals';
import { Principal_Kind } from '@eventmesh/proto-gen/acl';
import { parsePrincipal, principalText } from './principals.ts';

describe('a principal in the log of timers', () => {
  it.each([
    ['user', Principal_Kind.USER, []],
    ['api-key', Principal_Kind.API_KEY, []],
    ['service', Principal_Kind.SERVICE, []],
    ['token', Principal_Kind.TOKEN, ['ops', 'publisher']],
  ] as const)('%s comes back as it was, with the roles that only it knows', (kind, wire, roles) => {
    const text = principalText({ kind, name: 'a:b@c', roles: ['ops', 'publisher'] });
    expect(parsePrincipal(text)).toEqual({ kind: wire, name: 'a:b@c', roles });
  });
});
