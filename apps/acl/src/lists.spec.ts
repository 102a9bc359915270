import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock, type KvOperation } from '@eventmesh/kv-api';
import { AclAdminService } from '@eventmesh/proto-gen/acl';
import {
  MESSAGE_BYTES_MAX,
  RpcServer,
  createClient,
  everyEntry,
  grpcTransport,
  type Client,
  type Transport,
} from '@eventmesh/rpc';
import { eventually } from '@eventmesh/testing';
import { basic, startAcl } from '../test/acl-fixture.ts';
import { Directory } from './directory.ts';
import { deleteRecord, putRecord, type UserRecord } from './records.ts';

const USERS = 3000;
/** The first thousand are so large that no message could hold them. */
const LARGE_BYTES = 20 * 1024;
/** As many of these as one commit may have. */
const COMMIT = 50;

const named = (number: number): string => `user-${String(number).padStart(4, '0')}`;

const user = (number: number, roleBytes: number): UserRecord => ({
  type: 'user',
  tenant: 'acme',
  name: named(number),
  passwordHash: '-',
  roles: ['r'.repeat(roleBytes)],
  disabled: false,
});

describe('a list over gRPC', () => {
  let acl: Awaited<ReturnType<typeof startAcl>>;
  let writer: Directory;
  let server: RpcServer;
  let transport: Transport;
  let admin: Client<typeof AclAdminService>;

  beforeEach(async () => {
    acl = await startAcl();
    const [operator] = (await acl.app.putDemoUsers()).filter(({ name }) => name === 'admin');
    const authorization = basic('admin', operator?.password ?? '');
    server = new RpcServer(acl.app.router, { port: 0 });
    await server.start();
    transport = grpcTransport({ address: server.address, metadata: () => ({ authorization }) });
    admin = createClient(AclAdminService, transport);
    const onError = (error: Error) => {
      throw error;
    };
    writer = new Directory(acl.kv, { clock: systemClock, storeAwayMsMax: 0, onError });
    await writer.start();
  });

  afterEach(async () => {
    transport.close();
    server.stop();
    await writer.close();
    await acl.stop();
  });

  /** Changes the store as another replica does, and waits until this one has seen it. */
  const change = async (operations: readonly KvOperation[]) => {
    let version = 0;
    for (let from = 0; from < operations.length; from += COMMIT) {
      version = await writer.commit(() => operations.slice(from, from + COMMIT));
    }
    await eventually(async () => {
      expect(Number((await admin.listPolicies({})).revision)).toBeGreaterThanOrEqual(version);
    });
  };

  it('of thousands of entries that no message could hold has each once, in order', async () => {
    const all = Array.from({ length: USERS }, (_, number) =>
      user(number, number < 1000 ? LARGE_BYTES : 10),
    );
    expect(JSON.stringify(all.slice(0, 1000)).length).toBeGreaterThan(MESSAGE_BYTES_MAX);
    await change(all.map(putRecord));
    const names: string[] = [];
    let pages = 0;
    const ask = async (pageToken: string) => {
      pages++;
      const page = await admin.listUsers({ tenant: 'acme', pageSize: 1_000_000, pageToken });
      return { entries: page.users, nextPageToken: page.nextPageToken };
    };
    for await (const { name } of everyEntry(ask)) names.push(name);
    expect(names).toEqual(all.map(({ name }) => name));
    expect(pages).toBeGreaterThan(USERS / 1000);
  }, 60_000);

  it('goes on behind what it has told, though that is gone and others have come', async () => {
    const few = [10, 20, 30, 40, 50].map((number) => user(number, 1));
    await change(few.map(putRecord));
    const ask = (pageToken: string) => admin.listUsers({ tenant: 'acme', pageSize: 2, pageToken });
    const names = (page: { users: readonly { name: string }[] }) =>
      page.users.map(({ name }) => name);
    const first = await ask('');
    expect(names(first)).toEqual([named(10), named(20)]);
    await change([deleteRecord(user(20, 1)), putRecord(user(15, 1)), putRecord(user(35, 1))]);
    const second = await ask(first.nextPageToken);
    expect(names(second)).toEqual([named(30), named(35)]);
    const third = await ask(second.nextPageToken);
    expect([names(third), third.nextPageToken]).toEqual([[named(40), named(50)], '']);
  });

  it('refuses a token of another list or tenant', async () => {
    await change([1, 2].map((number) => putRecord(user(number, 1))));
    const { nextPageToken: pageToken } = await admin.listUsers({ tenant: 'acme', pageSize: 1 });
    expect(pageToken).not.toBe('');
    const refusal = { code: 'InvalidArgument', details: { field: 'page_token' } };
    const other = { tenant: 'default', pageToken };
    const own = { tenant: 'acme', pageToken };
    await expect(admin.listUsers(other)).rejects.toMatchObject(refusal);
    await expect(admin.listApiKeys(own)).rejects.toMatchObject(refusal);
    await expect(admin.listPolicies(own)).rejects.toMatchObject(refusal);
    await expect(admin.listRoles(own)).rejects.toMatchObject(refusal);
  });
});
