import { afterEach, describe, expect, it } from '@jest/globals';
import { Secret } from '@eventmesh/config';
import type { MeshError } from '@eventmesh/errors';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { AclService, Action, Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';
import { Router, createClient, localTransport } from '@eventmesh/rpc';
import { eventually, fakeClock, tempDir } from '@eventmesh/testing';
import { basic, startAcl, type FixtureOptions } from '../test/acl-fixture.ts';
import { bearerGuard } from '@eventmesh/lifecycle';

type Acl = Awaited<ReturnType<typeof startAcl>>;
const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(options: FixtureOptions = {}) {
  const acl = await startAcl(options);
  stops.push(() => acl.stop());
  const users = await acl.app.putDemoUsers();
  const of = (name: string) => users.find((user) => user.name === name)?.password ?? '';
  return { ...acl, of, asAdmin: acl.admin(basic('admin', of('admin'))) };
}

const login = (acl: Acl, user: string, password: string) =>
  acl.acl.authenticate({
    credential: { credential: { case: 'password', value: { user, password } } },
  });
const withKey = (acl: Acl, value: string) =>
  acl.acl.authenticate({ credential: { credential: { case: 'apiKey', value } } });

async function caught(promise: Promise<unknown>): Promise<MeshError> {
  return promise.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: unknown) => error as MeshError,
  );
}

describe('EffectiveGrants at a revision', () => {
  const subscriber = {
    tenant: 'default',
    kind: Kind.USER,
    name: 'subscriber',
    roles: ['subscriber'],
  };
  const denial = {
    subject: 'role:subscriber',
    action: Action.SUBSCRIBE,
    topicFilter: 'a/#',
    deny: true,
  };

  it('answers the grants of then: before a policy, a role, and the end of a user', async () => {
    const { acl, asAdmin } = await start();
    const at = async (atRevision: bigint) => {
      const { grants, known, revision } = await acl.effectiveGrants({
        principal: subscriber,
        atRevision,
      });
      expect(atRevision === 0n || revision === atRevision).toBe(true);
      return known ? grants.map(({ topicFilter, deny }) => `${deny ? '!' : ''}${topicFilter}`) : [];
    };
    const { revision: first } = await acl.effectiveGrants({ principal: subscriber });
    const { revision: denied } = await asAdmin.putPolicy({ policy: denial });
    await asAdmin.assignRole({ assignment: { subject: 'user:subscriber', role: 'extra' } });
    const { revision: extra } = await asAdmin.putPolicy({
      policy: { ...denial, subject: 'role:extra', topicFilter: 'b' },
    });
    await asAdmin.deleteUser({ name: 'subscriber' });
    expect(await at(0n)).toEqual([]);
    expect((await at(extra)).sort()).toEqual(['!a/#', '!b', '#']);
    expect((await at(denied)).sort()).toEqual(['!a/#', '#']);
    expect(await at(first)).toEqual(['#']);
  });

  it('says when a revision is not kept, or not known yet', async () => {
    const { acl } = await start();
    const { revision } = await acl.effectiveGrants({ principal: subscriber });
    for (const atRevision of [revision + 1n, -1n]) {
      const error = await caught(acl.effectiveGrants({ principal: subscriber, atRevision }));
      expect(error).toMatchObject({ code: 'NotFound', reason: 'REVISION_NOT_KEPT' });
    }
  });
});

describe('Authenticate', () => {
  it('answers principal, grants, revision and times for a right password', async () => {
    const acl = await start();
    const answer = await login(acl, 'publisher', acl.of('publisher'));
    expect(answer.principal).toMatchObject({
      tenant: 'default',
      kind: Kind.USER,
      name: 'publisher',
      roles: ['publisher'],
    });
    expect(answer.grants).toMatchObject([
      { action: Action.PUBLISH, topicFilter: '#', deny: false },
    ]);
    expect(answer.expiresMs).toBe(0n);
    expect(answer.cacheMs).toBe(60_000n);
    await expect(login(acl, 'default/publisher', acl.of('publisher'))).resolves.toBeDefined();
  });

  it('says the same whether user, password, key or token are wrong', async () => {
    const acl = await start();
    const texts = await Promise.all([
      caught(login(acl, 'publisher', 'wrong-password')),
      caught(login(acl, 'nobody', 'wrong-password')),
      caught(login(acl, 'other/publisher', acl.of('publisher'))),
      caught(login(acl, 'a/b/c', 'x'.repeat(5000))),
      caught(withKey(acl, `em_0123456789abcdef_${'x'.repeat(43)}`)),
      caught(withKey(acl, 'em_')),
      caught(acl.acl.authenticate({ credential: { credential: { case: 'jwt', value: 'a.b.c' } } })),
      caught(acl.acl.authenticate({})),
    ]);
    expect(new Set(texts.map(({ code, message }) => `${code}: ${message}`)).size).toBe(1);
    expect(texts[0]).toMatchObject({
      code: 'Unauthenticated',
      details: { field: 'authorization' },
    });
  });

  it('audits what was refused, without a name that anybody can make up', async () => {
    const acl = await start();
    await caught(login(acl, 'eve', 'wrong-password'));
    await caught(withKey(acl, 'em_'));
    const entry = { tenant: 'default', action: 'authenticate', outcome: 'refused' };
    expect(acl.audited).toMatchObject([
      { ...entry, resource: 'password', reason: 'UNAUTHENTICATED' },
      { ...entry, resource: 'apiKey' },
    ]);
    expect(JSON.stringify(acl.audited, (_, value) => String(value))).not.toContain('eve');
  });

  it('costs the same for an unknown user as for a wrong password', async () => {
    const acl = await start({ settings: { password: { costLog2: 13, parallel: 1 } } });
    const fastest = async (user: string) => {
      const times: number[] = [];
      for (let n = 0; n < 5; n++) {
        const from = performance.now();
        await caught(login(acl, user, `wrong-password-${n}`));
        times.push(performance.now() - from);
      }
      return Math.min(...times);
    };
    expect(await fastest('nobody')).toBeGreaterThan((await fastest('publisher')) / 2);
  });

  it('does not hash a right password again for a while, unless the user changed', async () => {
    const clock = fakeClock();
    const settings = { password: { costLog2: 14, parallel: 4, cache: '60s' } };
    const acl = await start({ clock, settings });
    const ms = async () => {
      const from = performance.now();
      await login(acl, 'publisher', acl.of('publisher'));
      return performance.now() - from;
    };
    const hashed = await ms();
    expect(await ms()).toBeLessThan(hashed / 3);
    await acl.asAdmin.putUser({ user: { name: 'publisher' }, password: 'another-password' });
    const old = await caught(login(acl, 'publisher', acl.of('publisher')));
    expect(old.code).toBe('Unauthenticated');
    await expect(login(acl, 'publisher', 'another-password')).resolves.toBeDefined();
  });

  it('refuses a disabled user at once', async () => {
    const acl = await start();
    await login(acl, 'publisher', acl.of('publisher'));
    await acl.asAdmin.putUser({ user: { name: 'publisher', disabled: true } });
    await expect(login(acl, 'publisher', acl.of('publisher'))).rejects.toMatchObject({
      code: 'Unauthenticated',
    });
  });
});

describe('API keys', () => {
  it('are shown once, kept as a hash, work until they expire or are revoked', async () => {
    const clock = fakeClock();
    const acl = await start({ clock });
    const expiresMs = BigInt(clock.now() + 60_000);
    const { key, secret } = await acl.asAdmin.createApiKey({
      name: 'billing',
      roles: ['publisher'],
      expiresMs,
    });
    expect(secret).toMatch(/^em_[0-9a-f]{16}_[\w-]{43}$/);
    const stored = Buffer.concat(
      (await acl.kv.range('')).entries.map(({ value }) => Buffer.from(value)),
    );
    expect(stored.includes(secret.slice(20))).toBe(false);

    const answer = await withKey(acl, secret);
    expect(answer.principal).toMatchObject({ kind: Kind.API_KEY, name: 'billing' });
    expect(answer.grants).toHaveLength(1);
    expect(answer.expiresMs).toBe(expiresMs);
    const { keys } = await acl.asAdmin.listApiKeys({});
    expect(keys).toMatchObject([{ id: key?.id ?? '', name: 'billing' }]);
    await expect(withKey(acl, `${secret.slice(0, -1)}!`)).rejects.toThrow();

    await clock.advance(60_001);
    await expect(withKey(acl, secret)).rejects.toMatchObject({ code: 'Unauthenticated' });
    const second = await acl.asAdmin.createApiKey({ name: 'billing' });
    await withKey(acl, second.secret);
    await acl.asAdmin.revokeApiKey({ id: second.key?.id ?? '' });
    await expect(withKey(acl, second.secret)).rejects.toMatchObject({ code: 'Unauthenticated' });
  });

  it('of one name are one principal and so need equal roles', async () => {
    const acl = await start();
    await acl.asAdmin.createApiKey({ name: 'billing', roles: ['a', 'b'] });
    await acl.asAdmin.createApiKey({ name: 'billing', roles: ['b', 'a'] });
    await expect(acl.asAdmin.createApiKey({ name: 'billing', roles: ['a'] })).rejects.toMatchObject(
      {
        code: 'FailedPrecondition',
        details: { field: 'roles' },
      },
    );
  });
});

describe('administration', () => {
  it('needs a credential, and admin on acl', async () => {
    const acl = await start();
    const call = (authorization: string) => acl.admin(authorization).listUsers({});
    await expect(call('')).rejects.toMatchObject({ code: 'Unauthenticated' });
    await expect(call(basic('admin', 'wrong'))).rejects.toMatchObject({ code: 'Unauthenticated' });
    await expect(call(basic('publisher', acl.of('publisher')))).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
    expect((await call(basic('admin', acl.of('admin')))).users).toHaveLength(3);
  });

  it('is audited: what was done, and what was refused to whom', async () => {
    const acl = await start();
    await acl.asAdmin.putUser({ user: { name: 'bob' }, password: 'bobs-password' });
    await caught(acl.asAdmin.deleteUser({ name: 'nobody' }));
    const other = acl.admin(basic('publisher', acl.of('publisher')));
    await caught(other.listPolicies({}));
    expect(acl.audited).toMatchObject([
      {
        principal: 'default/user:admin',
        action: 'put-user',
        resource: 'user:bob',
        outcome: 'done',
      },
      { action: 'delete-user', outcome: 'refused', reason: 'NOT_FOUND' },
      { principal: 'default/user:publisher', action: 'list-policies', outcome: 'refused' },
    ]);
    const text = JSON.stringify(acl.audited, (_, value) => String(value));
    expect(text).not.toContain('bobs-password');
  });

  it('of another tenant is for operators that were given that tenant', async () => {
    const acl = await start();
    await acl.asAdmin.putUser({
      user: { tenant: 'acme', name: 'ada', roles: ['boss'] },
      password: 'adas-password',
    });
    await acl.asAdmin.putPolicy({
      policy: { tenant: 'acme', subject: 'role:boss', action: Action.ADMIN, topicFilter: '#' },
    });
    const ada = acl.admin(basic('acme/ada', 'adas-password'));
    expect((await ada.listUsers({ tenant: 'acme' })).users).toHaveLength(1);
    await expect(ada.listUsers({ tenant: 'default' })).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
    await acl.asAdmin.putUser({
      user: { name: 'local', roles: ['local'] },
      password: 'locals-password',
    });
    await acl.asAdmin.putPolicy({
      policy: { subject: 'role:local', action: Action.ADMIN, topicFilter: 'acl' },
    });
    const local = acl.admin(basic('local', 'locals-password'));
    await expect(local.listUsers({})).resolves.toBeDefined();
    await expect(local.listUsers({ tenant: 'acme' })).rejects.toMatchObject({
      code: 'PermissionDenied',
    });
  });

  it.each([
    ['a+b', 'name'],
    ['#', 'name'],
    ['a/b', 'name'],
    ['', 'name'],
    ['x'.repeat(129), 'name'],
    ['zoë', 'name'],
    ['a\u0000', 'name'],
  ])('refuses the name "%s"', async (name) => {
    const acl = await start();
    const error = await caught(acl.asAdmin.putUser({ user: { name }, password: 'long-enough' }));
    expect(error).toMatchObject({ code: 'InvalidArgument', details: { field: 'user.name' } });
  });

  it.each([
    ['$SYS/#', 'user:a', Action.PUBLISH, 'policy.topic_filter'],
    ['a/#/b', 'user:a', Action.PUBLISH, 'policy.topic_filter'],
    ['', 'user:a', Action.PUBLISH, 'policy.topic_filter'],
    ['a', 'a', Action.PUBLISH, 'policy.subject'],
    ['a', 'group:a', Action.PUBLISH, 'policy.subject'],
    ['a', 'user:a/#', Action.PUBLISH, 'policy.subject'],
    ['a', 'user:a', Action.UNSPECIFIED, 'policy.action'],
  ])('refuses the policy %s %s %s', async (topicFilter, subject, action, field) => {
    const acl = await start();
    const error = await caught(acl.asAdmin.putPolicy({ policy: { subject, action, topicFilter } }));
    expect(error).toMatchObject({ code: 'InvalidArgument', details: { field } });
  });

  it('refuses roles that have each other, and chains beyond the limit', async () => {
    const acl = await start();
    const assign = (subject: string, role: string) =>
      acl.asAdmin.assignRole({ assignment: { subject, role } });
    for (let n = 0; n < 8; n++) await assign(`role:r${n}`, `r${n + 1}`);
    await expect(assign('role:r8', 'r0')).rejects.toThrow(/cycle/);
    await expect(assign('role:r8', 'r9')).rejects.toThrow(/chain/);
    await expect(assign('user:a', 'r1')).resolves.toBeDefined();
  });

  it('deletes the rights of a user with it, so that the next of that name has none', async () => {
    const acl = await start();
    const put = () => acl.asAdmin.putUser({ user: { name: 'bob' }, password: 'bobs-password' });
    await put();
    await acl.asAdmin.assignRole({ assignment: { subject: 'user:bob', role: 'admin' } });
    await acl.asAdmin.putPolicy({
      policy: { subject: 'user:bob', action: Action.PUBLISH, topicFilter: 'a' },
    });
    expect((await login(acl, 'bob', 'bobs-password')).grants).toHaveLength(5);
    await acl.asAdmin.deleteUser({ name: 'bob' });
    await put();
    expect((await login(acl, 'bob', 'bobs-password')).grants).toHaveLength(0);
  });
});

describe('the last administrator of a tenant', () => {
  const refused = { code: 'FailedPrecondition', details: { reason: 'LAST_ADMINISTRATOR' } };
  const adminPolicy = { subject: 'role:admin', action: Action.ADMIN, topicFilter: '#' };

  it('cannot take its own rights away, in whatever way, until there is another one', async () => {
    const acl = await start();
    const { asAdmin } = acl;
    const ways = [
      () => asAdmin.putUser({ user: { name: 'admin', roles: ['x'] } }),
      () => asAdmin.putUser({ user: { name: 'admin', roles: ['admin'], disabled: true } }),
      () => asAdmin.deletePolicy({ policy: adminPolicy }),
      () => asAdmin.putPolicy({ policy: { ...adminPolicy, topicFilter: 'acl', deny: true } }),
      () => asAdmin.deleteUser({ name: 'admin' }),
    ];
    for (const way of ways) await expect(way()).rejects.toMatchObject(refused);
    // Nothing of it was done.
    expect((await asAdmin.listUsers({})).users).toHaveLength(3);
    // Who cannot log in is none.
    const second = { name: 'ann', roles: ['admin'], disabled: true };
    await asAdmin.putUser({ user: second, password: 'anns-password' });
    await expect(asAdmin.deleteUser({ name: 'admin' })).rejects.toMatchObject(refused);
    await asAdmin.putUser({ user: { ...second, disabled: false } });
    await asAdmin.deleteUser({ name: 'admin' });
    const ann = acl.admin(basic('ann', 'anns-password'));
    await expect(ann.deleteUser({ name: 'ann' })).rejects.toMatchObject(refused);
  });

  it('may be a key that does not expire, and then keeps it', async () => {
    const { asAdmin, admin } = await start();
    const expiresMs = BigInt(Date.now() + 1e12);
    await asAdmin.createApiKey({ name: 'short', roles: ['admin'], expiresMs });
    await expect(asAdmin.deleteUser({ name: 'admin' })).rejects.toMatchObject(refused);
    const { key, secret } = await asAdmin.createApiKey({ name: 'ops', roles: ['ops'] });
    const assignment = { subject: 'role:ops', role: 'admin' };
    await asAdmin.assignRole({ assignment });
    await asAdmin.deleteUser({ name: 'admin' });
    const byKey = admin(`Bearer ${secret}`);
    await expect(byKey.revokeApiKey({ id: key?.id ?? '' })).rejects.toMatchObject(refused);
    await expect(byKey.revokeRole({ assignment })).rejects.toMatchObject(refused);
    await byKey.deleteUser({ name: 'publisher' });
  });

  it('of another tenant can be removed by operators, who can make one again', async () => {
    const { asAdmin } = await start();
    const tenant = 'acme';
    const user = { tenant, name: 'ada', roles: ['admin'] };
    await asAdmin.putUser({ user, password: 'adas-password' });
    await asAdmin.putPolicy({ policy: { ...adminPolicy, tenant } });
    await asAdmin.deleteUser({ tenant, name: 'ada' });
    expect((await asAdmin.listUsers({ tenant })).users).toEqual([]);
  });
});

describe('Check and EffectiveGrants', () => {
  it('decide by the roles the principal has now', async () => {
    const acl = await start();
    const principal = { tenant: 'default', kind: Kind.USER, name: 'subscriber', roles: ['admin'] };
    const check = async (action: Action, topic: string) =>
      (await acl.acl.check({ principal, action, topic })).allowed;
    expect(await check(Action.SUBSCRIBE, 'a/#')).toBe(true);
    // The role in the request is not one that the store knows the user to have.
    expect(await check(Action.PUBLISH, 'a')).toBe(false);
    expect(await check(Action.SUBSCRIBE, '$SYS/#')).toBe(false);
    await acl.asAdmin.putPolicy({
      policy: {
        subject: 'user:subscriber',
        action: Action.SUBSCRIBE,
        topicFilter: 'a/b',
        deny: true,
      },
    });
    expect(await check(Action.SUBSCRIBE, 'a/b')).toBe(false);
    expect(await check(Action.SUBSCRIBE, 'a/#')).toBe(true);
    const { grants, known } = await acl.acl.effectiveGrants({ principal });
    expect(known).toBe(true);
    expect(grants).toHaveLength(2);
  });

  it('know nobody that is not there', async () => {
    const acl = await start();
    for (const kind of [Kind.UNSPECIFIED, Kind.USER, Kind.API_KEY, Kind.TOKEN, Kind.SERVICE]) {
      const principal = { tenant: 'default', kind, name: 'nobody', roles: ['admin'] };
      expect(await acl.acl.effectiveGrants({ principal })).toMatchObject({
        known: false,
        grants: [],
      });
      expect(await acl.acl.check({ principal, action: Action.PUBLISH, topic: 'a' })).toMatchObject({
        allowed: false,
      });
    }
  });
});

describe('a policy entry that cannot be read', () => {
  it('stops its tenant and nobody else: a lost deny would allow', async () => {
    const dir = tempDir('acl-broken');
    stops.push(() => dir.remove());
    const kv = await openEmbeddedKv({ dir: dir.path });
    const acl = await start({ kv });
    await acl.asAdmin.putUser({ user: { tenant: 'acme', name: 'ada' }, password: 'adas-password' });
    await login(acl, 'acme/ada', 'adas-password');
    await kv.put('acl/policy/acme/x', new TextEncoder().encode('{"oops'));
    await eventually(() =>
      expect(login(acl, 'acme/ada', 'adas-password')).rejects.toMatchObject({ code: 'DataLoss' }),
    );
    await expect(login(acl, 'admin', acl.of('admin'))).resolves.toBeDefined();
  });
});

describe('the service token', () => {
  it('is required from callers when it is set', async () => {
    const router = new Router().service(
      AclService,
      { effectiveGrants: () => Promise.resolve({ known: true }) },
      bearerGuard(new Secret('the-token')),
    );
    const call = (authorization?: string) =>
      createClient(
        AclService,
        localTransport(router, authorization === undefined ? {} : { authorization }),
      ).effectiveGrants({});
    await expect(call('Bearer the-token')).resolves.toMatchObject({ known: true });
    for (const wrong of [undefined, '', 'the-token', 'Bearer the-toke', 'Bearer the-token2']) {
      await expect(call(wrong)).rejects.toMatchObject({ code: 'Unauthenticated' });
    }
  });
});
