import { describe, expect, it } from '@jest/globals';
import type { Principal } from '@eventmesh/adapter-api';
import { auditPrincipal } from './session.ts';

describe('a principal in the audit', () => {
  it.each<[Principal['kind'], string]>([
    ['user', 'acme/user:shop'],
    ['api-key', 'acme/key:shop'],
    ['token', 'acme/token:shop'],
    ['service', 'acme/service:shop'],
  ])('of the kind %s is %s, so that those of one name are told apart', (kind, text) => {
    expect(auditPrincipal({ tenant: 'acme', kind, name: 'shop', roles: ['ops'] })).toBe(text);
  });
});
