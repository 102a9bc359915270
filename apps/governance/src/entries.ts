import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { KvOperation } from '@eventmesh/kv-api';
import { MeshError } from '@eventmesh/errors';
import {
  DeadLetterQuotaSchema,
  EventTypeSchema,
  QuotaSchema,
  ScheduleSchema,
  TopicSchema,
  type DeadLetterQuota,
  type EventType,
  type Quota,
  type Schedule,
  type Topic,
  type WatchPolicyResponse,
} from '@eventmesh/proto-gen/governance';

/** One entry of the policy; `bytes` is its size in the store. */
export type Entry =
  | { readonly kind: 'topic'; readonly value: Topic; readonly bytes: number }
  | { readonly kind: 'type'; readonly value: EventType; readonly bytes: number }
  | { readonly kind: 'quota'; readonly value: Quota; readonly bytes: number }
  | { readonly kind: 'schedule'; readonly value: Schedule; readonly bytes: number }
  | { readonly kind: 'dead-letters'; readonly value: DeadLetterQuota; readonly bytes: number };

/** What an entry of a kind is on the wire. */
export type ValueOf<K extends Entry['kind']> = Extract<Entry, { readonly kind: K }>['value'];

type PutOperation = Extract<KvOperation, { type: 'put' }>;
export type PolicyChange = WatchPolicyResponse['change'];

// A topic filter may be as long as a whole key, so names are hashed.
const digest = (name: string): string => createHash('sha256').update(name).digest('hex');

export const topicKey = (tenant: string, filter: string): string =>
  `topic/${tenant}/${digest(filter)}`;
export const typeKey = (tenant: string, type: string): string => `type/${tenant}/${digest(type)}`;
export const quotaKey = (tenant: string, principal: string): string =>
  `quota/${tenant}/${principal}`;
export const deadLetterQuotaKey = (tenant: string): string => `dead-letters/${tenant}`;
export const scheduleKey = (tenant: string, name: string): string => `schedule/${tenant}/${name}`;

/** The stored form has no revision: the store's own is the one. */
export const putTopic = (topic: Topic): PutOperation => ({
  type: 'put',
  key: topicKey(topic.tenant, topic.topicFilter),
  value: toBinary(TopicSchema, create(TopicSchema, { ...topic, revision: 0n })),
});

export const putEventType = (type: EventType): PutOperation => ({
  type: 'put',
  key: typeKey(type.tenant, type.type),
  value: toBinary(EventTypeSchema, create(EventTypeSchema, { ...type, revision: 0n })),
});

export const putQuota = (quota: Quota): PutOperation => ({
  type: 'put',
  key: quotaKey(quota.tenant, quota.principal),
  value: toBinary(QuotaSchema, create(QuotaSchema, { ...quota, revision: 0n })),
});

export const putSchedule = (schedule: Schedule): PutOperation => ({
  type: 'put',
  key: scheduleKey(schedule.tenant, schedule.name),
  value: toBinary(ScheduleSchema, create(ScheduleSchema, { ...schedule, revision: 0n })),
});

export const putDeadLetterQuota = (quota: DeadLetterQuota): PutOperation => ({
  type: 'put',
  key: deadLetterQuotaKey(quota.tenant),
  value: toBinary(DeadLetterQuotaSchema, create(DeadLetterQuotaSchema, { ...quota, revision: 0n })),
});

/** @throws MeshError DataLoss to leave the key out. */
export function decodeEntry(value: Uint8Array, key: string): Entry {
  const kind = key.slice(0, key.indexOf('/'));
  const bytes = value.byteLength;
  try {
    switch (kind) {
      case 'topic':
        return { kind, value: fromBinary(TopicSchema, value), bytes };
      case 'type':
        return { kind, value: fromBinary(EventTypeSchema, value), bytes };
      case 'quota':
        return { kind, value: fromBinary(QuotaSchema, value), bytes };
      case 'schedule':
        return { kind, value: fromBinary(ScheduleSchema, value), bytes };
      case 'dead-letters':
        return { kind, value: fromBinary(DeadLetterQuotaSchema, value), bytes };
    }
  } catch (error) {
    throw new MeshError('DataLoss', `the entry ${key} is malformed; write it anew`, {}, error);
  }
  throw new MeshError('DataLoss', `the entry ${key} is of no known kind`);
}

/** The stored form again. */
export function encodeEntry(entry: Entry): Uint8Array {
  switch (entry.kind) {
    case 'topic':
      return toBinary(TopicSchema, entry.value);
    case 'type':
      return toBinary(EventTypeSchema, entry.value);
    case 'quota':
      return toBinary(QuotaSchema, entry.value);
    case 'schedule':
      return toBinary(ScheduleSchema, entry.value);
    case 'dead-letters':
      return toBinary(DeadLetterQuotaSchema, entry.value);
  }
}

/** The change that a watcher is told: the entry as it is, or as it was before it was deleted. */
export function changeOf(entry: Entry, deleted: boolean): PolicyChange {
  switch (entry.kind) {
    case 'topic':
      return { case: deleted ? 'topicDeleted' : 'topic', value: entry.value };
    case 'type':
      return { case: deleted ? 'eventTypeDeleted' : 'eventType', value: entry.value };
    case 'quota':
      return { case: deleted ? 'quotaDeleted' : 'quota', value: entry.value };
    case 'schedule':
      return { case: deleted ? 'scheduleDeleted' : 'schedule', value: entry.value };
    case 'dead-letters':
      return { case: deleted ? 'deadLetterQuotaDeleted' : 'deadLetterQuota', value: entry.value };
  }
}

/** The entry with the revision of its last write. */
export function withRevision(entry: Entry, revision: number): Entry {
  const at = { revision: BigInt(revision) };
  switch (entry.kind) {
    case 'topic':
      return { ...entry, value: create(TopicSchema, { ...entry.value, ...at }) };
    case 'type':
      return { ...entry, value: create(EventTypeSchema, { ...entry.value, ...at }) };
    case 'quota':
      return { ...entry, value: create(QuotaSchema, { ...entry.value, ...at }) };
    case 'schedule':
      return { ...entry, value: create(ScheduleSchema, { ...entry.value, ...at }) };
    case 'dead-letters':
      return { ...entry, value: create(DeadLetterQuotaSchema, { ...entry.value, ...at }) };
  }
}
