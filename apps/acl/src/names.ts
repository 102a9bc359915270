import { checkTopicFilter } from '@eventmesh/event';
import { invalid } from '@eventmesh/errors';
import { Action } from '@eventmesh/proto-gen/acl';

// None of `+ # /`: names become parts of topics and keys, where those would change the meaning
// (Mosquitto CVE-2017-7650).
const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NAME = /^[A-Za-z0-9._@:-]{1,128}$/;

export const TENANT_PATTERN = TENANT.source;
export const NAME_PATTERN = NAME.source;
export const DEFAULT_TENANT = 'default';

/** What a policy or a role assignment may be about. */
export const SUBJECT_KINDS = ['user', 'key', 'token', 'service', 'role'] as const;
export const SUBJECT_PATTERN = `^(${SUBJECT_KINDS.join('|')}):[A-Za-z0-9._@:-]{1,128}$`;

export const isTenant = (text: string): boolean => TENANT.test(text);
export const isName = (text: string): boolean => NAME.test(text);

/** The empty tenant is the default one. @throws MeshError InvalidArgument. */
export function checkTenant(given: string, field: string): string {
  const tenant = given === '' ? DEFAULT_TENANT : given;
  if (isTenant(tenant)) return tenant;
  throw invalid(
    field,
    'must be 1 to 64 letters, digits, ., _, -, and begin with a letter or digit',
  );
}

export function checkName(name: string, field: string): string {
  if (isName(name)) return name;
  throw invalid(field, 'must be 1 to 128 letters, digits, and . _ @ : -, never + # or /');
}

/** `KIND:NAME`; the kind keeps a user called `admin` from being taken for the role. */
export function checkSubject(subject: string, field: string): string {
  if (new RegExp(SUBJECT_PATTERN).test(subject)) return subject;
  throw invalid(field, `must read KIND:NAME with a kind of ${SUBJECT_KINDS.join(', ')}`);
}

export const ACTION_NAMES = Object.freeze({
  publish: Action.PUBLISH,
  subscribe: Action.SUBSCRIBE,
  admin: Action.ADMIN,
  inspect: Action.INSPECT,
});
export type ActionName = keyof typeof ACTION_NAMES;

/** The word for an action in policies and logs. @throws MeshError InvalidArgument. */
export function actionName(action: Action, field: string): ActionName {
  for (const [name, value] of Object.entries(ACTION_NAMES)) {
    if (value === action) return name as ActionName;
  }
  throw invalid(field, `must be one of ${Object.keys(ACTION_NAMES).join(', ')}`);
}

/** What a policy is about: a topic filter or, read alike, a filter of resource names. */
export function checkPolicyFilter(filter: string, field: string): string {
  checkTopicFilter(filter, field);
  if (filter.startsWith('$')) {
    throw invalid(field, `"${filter}" starts with $; such topics are reserved and always denied`);
  }
  return filter;
}
