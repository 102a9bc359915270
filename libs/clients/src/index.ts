export {
  API_KEY_PREFIX,
  parseAuthorization,
  passwordCredential,
  type Credential,
} from './acl-credential.ts';
export { compileGrants, type CompiledGrants } from './acl-grants.ts';
export type { Session } from './acl-session.ts';
export {
  ISSUER_AWAY,
  REVISION_NOT_KEPT,
  createAuthorizer,
  type Authorizer,
  type AuthorizerObserver,
  type AuthorizerOptions,
} from './acl-authorizer.ts';
export {
  createAuditSpool,
  type AuditEntryInit,
  type AuditSink,
  type AuditSpool,
  type AuditSpoolOptions,
} from './governance-audit.ts';
export { CLIENT_METRICS } from './metrics.ts';
export type { SchemaVerdict, TopicPolicy } from './governance-catalogue.ts';
export type { QuotaHandle } from './governance-quota.ts';
export { compileCron, type CronTimes } from './governance-schedule.ts';
export { SCHEMA_BYTES_MAX, compileSchema, type SchemaCheck } from './governance-schema.ts';
export {
  createGovernanceView,
  type GovernanceView,
  type GovernanceViewOptions,
} from './governance-view.ts';
export { principalKind, principalWord, subjectWord } from './principal-kind.ts';
export { RegistryView, type RegistryChange, type RegistryViewOptions } from './registry-view.ts';
export type { LeaseState } from './registry-lease.ts';
export {
  ownedSubscription,
  subscriptionKey,
  subscriptionOwned,
  type SubscriptionKey,
} from './subscription-key.ts';
