import { describe, expect, it } from '@jest/globals';
import { hasAdministrator, type TenantRecord } from './last-administrator.ts';

const tenant = 't';
const user = (name: string, ...roles: string[]): TenantRecord => {
  return { type: 'user', tenant, name, roles, disabled: false, passwordHash: '' };
};
const key = (name: string, expiresMs: number, ...roles: string[]): TenantRecord => {
  return { type: 'key', tenant, id: name, name, roles, expiresMs, createdMs: 1, secretHash: '' };
};
const may = (subject: string, filter = 'acl', deny = false): TenantRecord => {
  return { type: 'policy', tenant, subject, action: 'admin', filter, deny };
};
const has = (subject: string, role: string): TenantRecord => {
  return { type: 'assignment', tenant, subject, role };
};
const inspects: TenantRecord = {
  ...{ type: 'policy', tenant, subject: 'user:ann', filter: '#' },
  ...{ action: 'inspect', deny: false },
};

const CASES: readonly [string, boolean, TenantRecord[], boolean?][] = [
  ['nobody', false, []],
  ['a user with a line of its own', true, [user('ann'), may('user:ann')]],
  ['a user with a role', true, [user('ann', 'boss'), may('role:boss', '#')]],
  [
    'a user with roles of roles',
    true,
    [user('ann'), has('user:ann', 'a'), has('role:a', 'b'), may('role:b')],
  ],
  ['roles that have each other', false, [user('ann', 'a'), has('role:a', 'b'), has('role:b', 'a')]],
  ['a user who may something else', false, [user('ann'), may('user:ann', 'governance')]],
  ['a user who may inspect', false, [user('ann'), inspects]],
  [
    'a user to whom it is denied',
    false,
    [user('ann', 'a'), may('role:a', '#'), may('user:ann', '+', true)],
  ],
  ['a line of nobody', false, [user('ann'), may('role:boss')]],
  ['a key', true, [key('ops', 0, 'boss'), may('role:boss')]],
  ['a key that expires', false, [key('ops', 5, 'boss'), may('role:boss')]],
  ['a key of a name that only a user of it may', false, [key('ann', 0), may('user:ann')]],
  ['a role, and tokens are accepted', true, [may('role:boss')], true],
  ['a token, and tokens are accepted', true, [may('token:eve')], true],
  [
    'a role of a role, and tokens are accepted',
    true,
    [has('role:a', 'boss'), may('role:boss')],
    true,
  ],
  ['a user that is gone, and tokens are accepted', false, [may('user:ann')], true],
];

describe('a tenant', () => {
  it.each(CASES)('with %s has an administrator: %s', (_, expected, records, tokens = false) => {
    expect(hasAdministrator(records, tokens)).toBe(expected);
  });
});
