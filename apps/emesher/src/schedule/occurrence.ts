import { encodeEvent, encodeRecord, type AttributeValue } from '@eventmesh/event';
import type { Schedule } from '@eventmesh/proto-gen/governance';
import type { AppendRecord } from '@eventmesh/store-api';

/** The event of a schedule for one time. */
export function occurrenceEvent(schedule: Schedule, dueMs: number): Buffer {
  const { event: template } = schedule;
  const seconds = Math.floor(dueMs / 1000);
  const nanos = (dueMs - seconds * 1000) * 1_000_000;
  const attributes: [string, AttributeValue][] = [['time', { kind: 'timestamp', seconds, nanos }]];
  for (const [name, value] of Object.entries(template?.attributes ?? {})) {
    attributes.push([name, { kind: 'string', value }]);
  }
  const parts = {
    id: occurrenceId(schedule, dueMs),
    source: sourceOf(schedule),
    type: template?.type ?? '',
    attributes,
  };
  const { data } = template ?? {};
  if (data?.case === undefined) return encodeEvent(parts);
  return encodeEvent({
    ...parts,
    data:
      data.case === 'text'
        ? { kind: 'text', bytes: Buffer.from(data.value) }
        : { kind: 'binary', bytes: data.value },
  });
}

/** The same as a timer that is due at that time, published as the schedule's owner. */
export function occurrenceRecord(
  schedule: Schedule,
  dueMs: number,
  about: { readonly site: string; readonly nowMs: number; readonly policyRevision: number },
): AppendRecord {
  const bytes = encodeRecord(
    {
      tenant: schedule.tenant,
      topic: schedule.topic,
      principal: ownerText(schedule),
      originSite: about.site,
      destinations: [],
      key: schedule.event?.attributes['partitionkey'] ?? '',
      ingressTimeUs: about.nowMs * 1000,
      hops: [],
      handling: {
        policyRevision: about.policyRevision,
        grantsRevision: 0,
        onlySubscription: '',
        deliverAtMs: dueMs,
        latePolicy: schedule.latePolicy,
      },
    },
    occurrenceEvent(schedule, dueMs),
  );
  return { bytes, dedupKey: `${sourceOf(schedule)}\0${occurrenceId(schedule, dueMs)}` };
}

/** The owner as the log of timers keeps principals. */
export const ownerText = ({ owner, ownerRoles }: Schedule): string =>
  [owner, ...ownerRoles].join(' ');

const sourceOf = ({ name, event }: Schedule): string => event?.source || `/schedules/${name}`;

const occurrenceId = ({ name }: Schedule, dueMs: number): string =>
  `${name}/${new Date(dueMs).toISOString().replace('.000Z', 'Z')}`;
