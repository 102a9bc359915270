import { compileSchema } from '@eventmesh/clients';
import { invalid } from '@eventmesh/errors';
import { checkTopicFilter } from '@eventmesh/event';
import { DeliveryClass, DurabilityClass } from '@eventmesh/proto-gen/event';
import {
  EventType_Enforcement as Enforcement,
  type EventType,
  type Quota,
  type Topic,
} from '@eventmesh/proto-gen/governance';
import { DESCRIPTION_BYTES_MAX, TOPIC_EVENT_TYPES_MAX, TYPE_BYTES_MAX } from './limits.ts';

// As the acl has them: no `+ # /`, because names become parts of keys and topics.
const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NAME = /^[A-Za-z0-9._@:-]{1,128}$/;

export const DEFAULT_TENANT = 'default';
export const TENANT_PATTERN = TENANT.source;
export const NAME_PATTERN = NAME.source;

/** The empty tenant is the default one. @throws MeshError InvalidArgument. */
export function checkTenant(given: string, field: string): string {
  const tenant = given === '' ? DEFAULT_TENANT : given;
  if (TENANT.test(tenant)) return tenant;
  throw invalid(
    field,
    'must be 1 to 64 letters, digits, ., _, -, and begin with a letter or digit',
  );
}

export function checkTopic(topic: Topic, field: string): Topic {
  const tenant = checkTenant(topic.tenant, `${field}.tenant`);
  checkTopicFilter(topic.topicFilter, `${field}.topic_filter`);
  if (topic.topicFilter.startsWith('$')) {
    throw invalid(`${field}.topic_filter`, 'starts with $; such topics are reserved for the mesh');
  }
  checkText(topic.description, DESCRIPTION_BYTES_MAX, `${field}.description`);
  checkText(topic.owner, DESCRIPTION_BYTES_MAX, `${field}.owner`);
  checkKnown(topic.deliveryClass, Object.values(DeliveryClass), `${field}.delivery_class`);
  checkKnown(topic.durabilityMin, Object.values(DurabilityClass), `${field}.durability_min`);
  checkCount(topic.retentionMs, `${field}.retention_ms`);
  checkCount(topic.eventBytesMax, `${field}.event_bytes_max`);
  if (topic.eventTypes.length > TOPIC_EVENT_TYPES_MAX) {
    throw invalid(`${field}.event_types`, `has ${topic.eventTypes.length} types`, {
      limit: `${TOPIC_EVENT_TYPES_MAX} types`,
    });
  }
  topic.eventTypes.forEach((type, index) => checkType(type, `${field}.event_types[${index}]`));
  return { ...topic, tenant, eventTypes: [...new Set(topic.eventTypes)] };
}

/** Compiles the schema, so that one that cannot be used is refused here. */
export function checkEventType(type: EventType, field: string): EventType {
  const tenant = checkTenant(type.tenant, `${field}.tenant`);
  checkType(type.type, `${field}.type`);
  checkText(type.description, DESCRIPTION_BYTES_MAX, `${field}.description`);
  checkKnown(type.enforcement, Object.values(Enforcement), `${field}.enforcement`);
  if (type.jsonSchema !== '') compileSchema(type.jsonSchema, `${field}.json_schema`);
  return { ...type, tenant };
}

export function checkQuota(quota: Quota, field: string): Quota {
  const tenant = checkTenant(quota.tenant, `${field}.tenant`);
  checkPrincipal(quota.principal, `${field}.principal`);
  checkCount(quota.eventsPerSecond, `${field}.events_per_second`);
  checkCount(quota.bytesPerSecond, `${field}.bytes_per_second`);
  checkCount(quota.eventBytesMax, `${field}.event_bytes_max`);
  checkCount(quota.subscriptionsMax, `${field}.subscriptions_max`);
  return { ...quota, tenant };
}

/** The name of a principal; empty stands for the tenant as a whole. */
export function checkPrincipal(principal: string, field: string): string {
  if (principal === '' || NAME.test(principal)) return principal;
  throw invalid(field, 'must be 1 to 128 letters, digits, and . _ @ : -, or empty for the tenant');
}

export function checkType(type: string, field: string): string {
  if (type === '') throw invalid(field, 'is empty; it is the CloudEvents type');
  return checkText(type, TYPE_BYTES_MAX, field);
}

export function checkText(text: string, bytesMax: number, field: string): string {
  if (Buffer.byteLength(text) > bytesMax) {
    throw invalid(field, `is longer than ${bytesMax} bytes`, { limit: `${bytesMax} bytes` });
  }
  if (!text.isWellFormed()) throw invalid(field, 'is not well-formed Unicode (lone surrogate)');
  // U+0000 has no faithful form in every protocol.
  if (text.includes('\0')) throw invalid(field, 'has a character U+0000');
  return text;
}

function checkCount(count: bigint, field: string): void {
  if (count < 0n || count > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalid(field, 'must be 0 or more; 0 means no limit of its own');
  }
}

export function checkKnown(value: number, known: readonly number[], field: string): void {
  if (!known.includes(value)) throw invalid(field, `${value} is not one of its values`);
}
