import { counter, gauge, queueGauge, type LiveMetrics } from '@eventmesh/telemetry';

export const ACL_METRICS = Object.freeze({
  authentications: counter(
    'eventmesh_acl_authentications_total',
    'Credentials checked; outcome is accepted, refused or failed (could not tell).',
    ['kind', 'outcome'],
  ),
  checks: counter('eventmesh_acl_checks_total', 'Single decisions by the full policy model.', [
    'outcome',
  ]),
  hashing: queueGauge('eventmesh_acl_passwords_hashing', 'Passwords that are being hashed.'),
  waiting: queueGauge('eventmesh_acl_passwords_waiting', 'Logins that wait for their hash.'),
  watchers: gauge('eventmesh_acl_watchers', 'Members that follow the policy now.'),
  revision: gauge('eventmesh_acl_policy_revision', 'Revision of the policy.'),
  storeErrors: counter(
    'eventmesh_acl_store_errors_total',
    'Times the store was lost, and entries that could not be read.',
  ),
});

export type AclMetrics = LiveMetrics<typeof ACL_METRICS>;
