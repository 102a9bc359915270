import { counter, gauge, histogram } from '@eventmesh/telemetry';

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
  appendsWaiting: gauge('eventmesh_store_appends_waiting', 'Appends that wait for the store.'),
  reads: gauge('eventmesh_store_reads', 'Read streams that are open.'),
  readRecords: counter('eventmesh_store_read_records_total', 'Records sent to readers.'),
  fencedCursors: counter(
    'eventmesh_store_fenced_cursors_total',
    'Cursor commits refused because a newer epoch had written.',
  ),
} as const;
