import { createServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  createAuthorizer,
  parseAuthorization,
  passwordCredential,
  type AuthorizerObserver,
  type AuthorizerOptions,
} from '@eventmesh/clients';
import { AclService, Action, Principal_Kind as Kind } from '@eventmesh/proto-gen/acl';
import { RpcServer, createClient, grpcTransport } from '@eventmesh/rpc';
import { eventually } from '@eventmesh/testing';
import { basic, startAcl, type FixtureOptions } from '../test/acl-fixture.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** An acl behind a real gRPC server that can be cut off, and an authorizer that follows it. */
async function start(options: AuthorizerOptions = {}, settings: FixtureOptions['settings'] = {}) {
  const acl = await startAcl({ settings });
  stops.push(() => acl.stop());
  const users = await acl.app.putDemoUsers();
  const password = (name: string) => users.find((user) => user.name === name)?.password ?? '';
  const server = new RpcServer(acl.app.router, { port: 0 });
  await server.start();
  stops.push(() => server.stop());
  const transport = grpcTransport({ address: server.address });
  stops.push(() => transport.close());
  const outcomes: string[] = [];
  const observer: AuthorizerObserver = { credential: (outcome) => void outcomes.push(outcome) };
  let offsetMs = 0;
  const authorizer = createAuthorizer(createClient(AclService, transport), {
    observer,
    timeoutMs: 1000,
    now: () => Date.now() + offsetMs,
    ...options,
  });
  stops.push(() => authorizer.close());
  await eventually(() => expect(authorizer.staleMs).toBeLessThan(60_000));
  return {
    acl,
    server,
    authorizer,
    outcomes,
    admin: acl.admin(basic('admin', password('admin'))),
    login: (name: string, as = password(name)) =>
      authorizer.authenticate(passwordCredential(name, as)),
    skip: (ms: number) => void (offsetMs += ms),
  };
}

/** A port of this machine at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );
  await new Promise((resolve) => server.close(resolve));
  return port;
}

type Started = Awaited<ReturnType<typeof start>>;
const deny = ({ admin }: Started, subject: string, topicFilter: string) =>
  admin.putPolicy({ policy: { subject, action: Action.SUBSCRIBE, topicFilter, deny: true } });

describe('createAuthorizer', () => {
  it('answers what a session may do, and remembers the credential', async () => {
    const mesh = await start();
    const session = await mesh.login('publisher');
    expect(session.principal).toMatchObject({ tenant: 'default', name: 'publisher' });
    expect(session.canPublish('a/b')).toBe(true);
    expect(session.canSubscribe('a/#')).toBe(false);
    expect(session.canPublish('$SYS/x')).toBe(false);
    expect(session.can(Action.ADMIN, 'acl')).toBe(false);
    expect(await mesh.login('publisher')).toBe(session);
    expect(mesh.outcomes).toEqual(['verified', 'hit']);
  });

  it('refuses a wrong password, also of a user it knows', async () => {
    const mesh = await start();
    await mesh.login('publisher');
    await expect(mesh.login('publisher', 'wrong-password')).rejects.toMatchObject({
      code: 'Unauthenticated',
    });
    expect(mesh.authorizer.credentials).toBe(1);
  });

  it('brings living sessions to a new policy within a second', async () => {
    const mesh = await start();
    const session = await mesh.login('subscriber');
    expect(session.canReceive('a/b')).toBe(true);
    const from = performance.now();
    await deny(mesh, 'role:subscriber', 'a/#');
    await eventually(() => expect(session.canReceive('a/b')).toBe(false));
    expect(performance.now() - from).toBeLessThan(1000);
    expect(session.canReceive('b')).toBe(true);
    expect(session.canSubscribe('#')).toBe(true);
    expect(session.canSubscribe('a/b/#')).toBe(false);
  });

  it('ends the sessions of a user that is deleted or disabled', async () => {
    const mesh = await start();
    const [gone, off] = [await mesh.login('publisher'), await mesh.login('subscriber')];
    await mesh.admin.deleteUser({ name: 'publisher' });
    await mesh.admin.putUser({
      user: { name: 'subscriber', roles: ['subscriber'], disabled: true },
    });
    await eventually(() => expect([gone.ended.aborted, off.ended.aborted]).toEqual([true, true]));
    expect(() => gone.canPublish('a')).toThrow(
      expect.objectContaining({ code: 'Unauthenticated' }),
    );
    await expect(mesh.login('publisher')).rejects.toMatchObject({ code: 'Unauthenticated' });
  });

  it('does not take an old password once it was changed', async () => {
    const mesh = await start();
    await mesh.login('publisher');
    await mesh.admin.putUser({ user: { name: 'publisher' }, password: 'another-password' });
    await eventually(() =>
      expect(mesh.login('publisher')).rejects.toMatchObject({ code: 'Unauthenticated' }),
    );
  });

  it('serves known callers for a while when acl is away, and refuses new ones', async () => {
    const mesh = await start();
    const session = await mesh.login('publisher');
    mesh.server.stop();
    await expect(mesh.login('subscriber')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(session.canPublish('a')).toBe(true);
    expect(await mesh.login('publisher')).toBe(session);
    mesh.skip(50_000);
    expect(session.canPublish('a')).toBe(true);
    expect(await mesh.login('publisher')).toBe(session);
    mesh.skip(11_000);
    expect(() => session.canPublish('a')).toThrow(expect.objectContaining({ code: 'Unavailable' }));
    await expect(mesh.login('publisher')).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('says that the issuer of a token is away, and goes on asking acl about everybody else', async () => {
    const issuers = [
      {
        issuer: 'https://away.example',
        audience: ['eventmesh'],
        tenant: 'default',
        keys: { url: `http://127.0.0.1:${await closedPort()}/keys` },
      },
    ];
    const mesh = await start({}, { issuers });
    const token = [{ alg: 'RS256' }, { iss: 'https://away.example' }, 'signature']
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const tryToken = () =>
      expect(
        mesh.authorizer.authenticate(parseAuthorization(`Bearer ${token}`)),
      ).rejects.toMatchObject({ code: 'Unavailable', details: { reason: 'ISSUER_AWAY' } });
    await mesh.login('publisher');
    await mesh.admin.putUser({ user: { name: 'publisher' }, password: 'another-password' });
    // Whoever shows such a token must not keep credentials alive that were changed.
    await eventually(async () => {
      await tryToken();
      await expect(mesh.login('publisher')).rejects.toMatchObject({ code: 'Unauthenticated' });
    });
  });

  it('serves them again when acl is back', async () => {
    const mesh = await start();
    const session = await mesh.login('subscriber');
    const { port } = mesh.server;
    mesh.server.stop();
    await eventually(() =>
      expect(mesh.login('publisher')).rejects.toMatchObject({ code: 'Unavailable' }),
    );
    mesh.skip(61_000);
    expect(() => session.canReceive('a')).toThrow();
    const again = new RpcServer(mesh.acl.app.router, { port });
    await again.start();
    stops.push(() => again.stop());
    await eventually(() => expect(session.canReceive('a')).toBe(true));
    await eventually(() => mesh.login('publisher'));
  });

  it('gives the owner of a durable subscription a session with the rights of now', async () => {
    const mesh = await start();
    const principal = { tenant: 'default', kind: Kind.USER, name: 'subscriber', roles: [] };
    const session = await mesh.authorizer.sessionFor(principal);
    expect(session.canReceive('a/b')).toBe(true);
    await deny(mesh, 'user:subscriber', 'a/b');
    await eventually(() => expect(session.canReceive('a/b')).toBe(false));
    await expect(
      mesh.authorizer.sessionFor({ ...principal, name: 'nobody' }),
    ).rejects.toMatchObject({ code: 'Unauthenticated' });
  });

  it('tells what a principal might do before the policy changed, and what nobody knows any more', async () => {
    const mesh = await start();
    const principal = { tenant: 'default', kind: Kind.USER, name: 'subscriber', roles: [] };
    const { revision } = await mesh.authorizer.sessionFor(principal);
    await deny(mesh, 'user:subscriber', 'a/b');
    const allows = async (at: number, who = principal) =>
      (await mesh.authorizer.grantsAt(who, at))?.allows(Action.SUBSCRIBE, 'a/b');
    await eventually(async () => expect(await allows(0)).toBe(false));
    expect(await allows(revision)).toBe(true);
    expect(await allows(revision, { ...principal, name: 'nobody' })).toBe(false);
    expect(await allows(revision + 1000)).toBeUndefined();
    mesh.server.stop();
    await expect(allows(revision)).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('ends with the credential, by the clock', async () => {
    const mesh = await start();
    const expiresMs = BigInt(Date.now() + 30_000);
    const { secret } = await mesh.admin.createApiKey({
      name: 'k',
      roles: ['publisher'],
      expiresMs,
    });
    const credential = { credential: { case: 'apiKey', value: secret } } as const;
    const session = await mesh.authorizer.authenticate(credential);
    expect(session.canPublish('a')).toBe(true);
    mesh.skip(30_001);
    expect(() => session.canPublish('a')).toThrow(
      expect.objectContaining({ code: 'Unauthenticated' }),
    );
  });

  it('remembers a bounded number of credentials', async () => {
    const mesh = await start({ credentialsMax: 2 });
    const [first] = [await mesh.login('publisher'), await mesh.login('subscriber')];
    await mesh.login('admin');
    expect(mesh.authorizer.credentials).toBe(2);
    expect(await mesh.login('publisher')).not.toBe(first);
  });
});
