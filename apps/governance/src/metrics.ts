import { counter, gauge, type LiveMetrics } from '@eventmesh/telemetry';

export const GOVERNANCE_METRICS = Object.freeze({
  audited: counter('eventmesh_governance_audit_entries_total', 'Audit entries stored.'),
  auditSequence: gauge('eventmesh_governance_audit_sequence', 'Sequence of the last audit entry.'),
  auditErrors: counter(
    'eventmesh_governance_audit_errors_total',
    'Times audit entries could not be stored; their senders send them again.',
  ),
  watchers: gauge('eventmesh_governance_watchers', 'Members that follow the policy now.'),
  revision: gauge('eventmesh_governance_policy_revision', 'Revision of the policy.'),
  storeErrors: counter(
    'eventmesh_governance_store_errors_total',
    'Times the control state was lost, and entries that could not be read.',
  ),
});

export type GovernanceMetrics = LiveMetrics<typeof GOVERNANCE_METRICS>;
