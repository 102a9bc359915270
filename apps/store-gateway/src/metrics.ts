import { counter, gauge, histogram, queueGauge } from '@eventmesh/telemetry';

/** What the store-gateway counts. */
export const STORE_METRICS = {
  durability: gauge(
    'eventmesh_store_durability_info',
    '1 for the class that the live store was found to have; required is what the site asks for.',
    ['store', 'durability', 'required'],
  ),
  weak: gauge(
    'eventmesh_store_durability_weak',
    '1 while the store is weaker than required, or could not be verified at all.',
  ),
  appendedRecords: counter('eventmesh_store_appended_records_total', 'Records stored.', ['log']),
  appendedBytes: counter('eventmesh_store_appended_bytes_total', 'Bytes of records stored.', [
    'log',
  ]),
  duplicateRecords: counter(
    'eventmesh_store_duplicate_records_total',
    'Records that were stored before and not again.',
    ['log'],
  ),
  appendFailures: counter('eventmesh_store_append_failures_total', 'Appends refused or failed.', [
    'code',
  ]),
  appendSeconds: histogram('eventmesh_store_append_seconds', 'Append to receipt, in the gateway.'),
  appendsWaiting: queueGauge(
    'eventmesh_store_appends_waiting',
    'Requests of the fullest append stream whose receipts are not sent.',
  ),
  appendWindowBytes: queueGauge(
    'eventmesh_store_append_window_bytes',
    'Bytes of records of the fullest append stream whose receipts are not sent.',
  ),
  pendingBytes: queueGauge(
    'eventmesh_store_pending_bytes',
    'Bytes of records of all append streams that wait for the store.',
  ),
  commitsInFlight: queueGauge(
    'eventmesh_store_commits_in_flight',
    'Commits that the busiest partition has under way at JetStream.',
  ),
  readAheadBytes: queueGauge(
    'eventmesh_store_read_ahead_bytes',
    'Bytes that were read ahead from JetStream for the fullest reader.',
  ),
  unreadBytes: queueGauge(
    'eventmesh_store_unread_bytes',
    'Bytes sent to the slowest reader that it has not given back as credit.',
  ),
  reads: gauge('eventmesh_store_reads', 'Read streams that are open.'),
  readRecords: counter('eventmesh_store_read_records_total', 'Records sent to readers.'),
  fencedCursors: counter(
    'eventmesh_store_fenced_cursors_total',
    'Cursor commits refused because a newer epoch had written.',
  ),
} as const;
