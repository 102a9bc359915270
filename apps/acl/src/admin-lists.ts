import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AclAdminService, UserSchema } from '@eventmesh/proto-gen/acl';
import { pageOfSorted, type Page, type PageRequest, type ServiceImpl } from '@eventmesh/rpc';
import type { Administration } from './admin-service.ts';
import type { Directory } from './directory.ts';
import { ACTION_NAMES } from './names.ts';
import {
  recordKey,
  type AssignmentRecord,
  type KeyRecord,
  type PolicyRecord,
  type UserRecord,
} from './records.ts';

type Lists = Pick<
  ServiceImpl<typeof AclAdminService>,
  'listUsers' | 'listApiKeys' | 'listPolicies' | 'listRoles'
>;

/** The lists for administrators, in pages; each page is of the version that is then. */
export function adminLists(directory: Directory, task: Administration): Lists {
  const reads = (tenant: string, action: string, resource: string) => ({
    tenant,
    action,
    resource,
    reads: true,
  });
  return {
    listUsers: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-users', 'users'), async (of) => {
        const { users } = directory.tenant(of);
        const { entries, nextPageToken } = paged(users, `users of ${of}`, page);
        return { users: entries.map(userMessage), nextPageToken };
      }),

    listApiKeys: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-api-keys', 'keys'), async (of) => {
        const { keys } = directory.tenant(of);
        const { entries, nextPageToken } = paged(keys, `keys of ${of}`, page);
        return { keys: entries.map(keyMessage), nextPageToken };
      }),

    listPolicies: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-policies', '*'), async (of) => {
        const { policies } = directory.tenant(of);
        const { entries, nextPageToken } = paged(policies, `policies of ${of}`, page);
        const revision = BigInt(directory.version);
        return { policies: entries.map(policyMessage), nextPageToken, revision };
      }),

    listRoles: ({ tenant, ...page }, ctx) =>
      task(ctx, reads(tenant, 'list-roles', '*'), async (of) => {
        const { assignments } = directory.tenant(of);
        const { entries, nextPageToken } = paged(assignments, `roles of ${of}`, page);
        return { assignments: entries.map(assignmentMessage), nextPageToken };
      }),
  };
}

function paged<T extends UserRecord | KeyRecord | PolicyRecord | AssignmentRecord>(
  records: readonly T[],
  scope: string,
  page: PageRequest,
): Page<T> {
  return pageOfSorted(records, page, {
    scope,
    keyOf: recordKey,
    // In the store it is longer than on the wire.
    bytesOf: (record) => Buffer.byteLength(JSON.stringify(record)),
  });
}

function userMessage(user: UserRecord): MessageInitShape<typeof UserSchema> {
  const { tenant, name, roles, disabled } = user;
  return { tenant, name, roles: [...roles], disabled };
}

export function keyMessage({ id, tenant, name, roles, expiresMs, createdMs }: KeyRecord) {
  return {
    id,
    tenant,
    name,
    roles: [...roles],
    expiresMs: BigInt(expiresMs),
    createdMs: BigInt(createdMs),
  };
}

function policyMessage({ tenant, subject, action, filter, deny }: PolicyRecord) {
  return { tenant, subject, action: ACTION_NAMES[action], topicFilter: filter, deny };
}

const assignmentMessage = ({ tenant, subject, role }: AssignmentRecord) => ({
  tenant,
  subject,
  role,
});
