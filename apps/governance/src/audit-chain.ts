import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import { RecordSchema } from '@eventmesh/proto-gen/event';
import { AuditEntrySchema, type AuditEntry } from '@eventmesh/proto-gen/governance';

/** The hash before the first entry. */
export const CHAIN_START = '0'.repeat(64);
export const AUDIT_TOPIC = '$mesh/audit';
export const AUDIT_EVENT_TYPE = 'eventmesh.audit.v1';

/** What an entry says, in a form that no two different entries share. */
const content = (entry: AuditEntry): readonly string[] => [
  String(entry.timeMs),
  entry.tenant,
  entry.principal,
  entry.action,
  entry.resource,
  entry.outcome,
  entry.reason,
  String(entry.policyRevision),
  entry.member,
  String(entry.count),
];

const sha256 = (parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** Equal for entries that are one: a batch that was sent again is recognised by it. */
export const contentHash = (entry: AuditEntry): string => sha256(content(entry));

/** The hash of an entry and, through its predecessor's, of all before it. */
export const chainHash = (previous: string, entry: AuditEntry): string =>
  sha256([previous, String(entry.sequence), ...content(entry)]);

/** The next entry of the chain. */
export function chained(previous: AuditEntry | undefined, entry: AuditEntry): AuditEntry {
  const sequence = (previous?.sequence ?? 0n) + 1n;
  const next = create(AuditEntrySchema, { ...entry, sequence });
  next.hash = chainHash(previous?.hash ?? CHAIN_START, next);
  return next;
}

/** An entry as a record of the log: a CloudEvent, like every record. */
export function encodeRecord(entry: AuditEntry): Uint8Array {
  return toBinary(
    RecordSchema,
    create(RecordSchema, {
      topic: AUDIT_TOPIC,
      tenant: entry.tenant,
      principal: entry.principal,
      ingressTimeUs: entry.timeMs * 1000n,
      event: {
        id: String(entry.sequence),
        source: '/eventmesh/governance',
        specVersion: '1.0',
        type: AUDIT_EVENT_TYPE,
        data: { case: 'binaryData', value: toBinary(AuditEntrySchema, entry) },
      },
    }),
  );
}

/** @throws MeshError DataLoss. */
export function decodeRecord(bytes: Uint8Array): AuditEntry {
  try {
    const { event } = fromBinary(RecordSchema, bytes);
    if (event?.data.case === 'binaryData') return fromBinary(AuditEntrySchema, event.data.value);
  } catch (error) {
    throw new MeshError('DataLoss', 'a record of the audit cannot be read', {}, error);
  }
  throw new MeshError('DataLoss', 'a record of the audit has no entry');
}
