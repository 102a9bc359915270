import { counter, gauge, queueGauge, type LiveMetrics } from '@eventmesh/telemetry';

export const GOVERNANCE_METRICS = Object.freeze({
  audited: counter('eventmesh_governance_audit_entries_total', 'Audit entries stored.'),
  auditSequence: gauge('eventmesh_governance_audit_sequence', 'Sequence of the last audit entry.'),
  auditErrors: counter(
    'eventmesh_governance_audit_errors_total',
    'Times audit entries could not be stored; their senders send them again.',
  ),
  auditWaiting: queueGauge(
    'eventmesh_governance_audit_waiting',
    'Audit entries that wait to be stored.',
  ),
  watchBehind: queueGauge(
    'eventmesh_governance_watch_behind',
    'Versions of the policy that the slowest member has yet to be told.',
  ),
  watchers: gauge('eventmesh_governance_watchers', 'Members that follow the policy now.'),
  revision: gauge('eventmesh_governance_policy_revision', 'Revision of the policy.'),
  storeErrors: counter(
    'eventmesh_governance_store_errors_total',
    'Times the control state was lost, and entries that could not be read.',
  ),
});

export type GovernanceMetrics = LiveMetrics<typeof GOVERNANCE_METRICS>;
