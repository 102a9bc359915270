import { queueGauge } from '@eventmesh/telemetry';

/** Queues of the clients; read when somebody looks. */
export const CLIENT_METRICS = {
  auditSpool: queueGauge(
    'eventmesh_audit_spool_entries',
    'Audit entries of this process that governance has not stored yet.',
  ),
} as const;
