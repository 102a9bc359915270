import { create } from '@bufbuild/protobuf';
import { compileCron } from '@eventmesh/clients';
import { MeshError, invalid } from '@eventmesh/errors';
import { checkEvent, checkTopic, encodeEvent, type AttributeValue } from '@eventmesh/event';
import { DeliveryClass, LatePolicy } from '@eventmesh/proto-gen/event';
import {
  EventTemplateSchema,
  ScheduleSchema,
  type EventTemplate,
  type Schedule,
} from '@eventmesh/proto-gen/governance';
import { checkKnown, checkTenant, checkText, checkType } from './checks.ts';
import {
  DESCRIPTION_BYTES_MAX,
  SCHEDULE_ATTRIBUTES_MAX,
  SCHEDULE_DATA_BYTES_MAX,
} from './limits.ts';

const SCHEDULE_NAME = /^[A-Za-z0-9._-]{1,128}$/;
export const SCHEDULE_NAME_PATTERN = SCHEDULE_NAME.source;
/** Set for each occurrence. */
const OWN_ATTRIBUTES = ['time', 'expirytime', 'delivertime'];

export function checkScheduleName(name: string, field: string): string {
  if (SCHEDULE_NAME.test(name)) return name;
  throw invalid(field, 'must be 1 to 128 letters, digits, ., _ and -');
}

/**
 * A schedule as it is stored, all defaults filled in.
 * @param nowMs it must come due at some time after this
 * @throws MeshError InvalidArgument that names the field.
 */
export function checkSchedule(schedule: Schedule, field: string, nowMs: number): Schedule {
  const tenant = checkTenant(schedule.tenant, `${field}.tenant`);
  const name = checkScheduleName(schedule.name, `${field}.name`);
  const timeZone = schedule.timeZone === '' ? 'UTC' : schedule.timeZone;
  const times = compileCron(schedule.cron, timeZone, `${field}.`);
  if (times.next(nowMs) === undefined) {
    throw invalid(`${field}.cron`, `"${schedule.cron}" never comes due`);
  }
  try {
    checkTopic(schedule.topic);
  } catch (error) {
    throw invalid(`${field}.topic`, MeshError.from(error).message);
  }
  checkText(schedule.description, DESCRIPTION_BYTES_MAX, `${field}.description`);
  checkKnown(schedule.deliveryClass, Object.values(DeliveryClass), `${field}.delivery_class`);
  checkKnown(schedule.latePolicy, Object.values(LatePolicy), `${field}.late_policy`);
  const event = checkTemplate(schedule.event, name, `${field}.event`);
  return create(ScheduleSchema, { ...schedule, tenant, name, timeZone, event });
}

function checkTemplate(
  given: EventTemplate | undefined,
  name: string,
  field: string,
): EventTemplate {
  if (given === undefined) throw invalid(field, 'is missing');
  checkType(given.type, `${field}.type`);
  const attributes = Object.entries(given.attributes);
  if (attributes.length > SCHEDULE_ATTRIBUTES_MAX) {
    throw invalid(`${field}.attributes`, `there are ${attributes.length}`, {
      limit: `${SCHEDULE_ATTRIBUTES_MAX} attributes`,
    });
  }
  const own = OWN_ATTRIBUTES.find((attribute) => attribute in given.attributes);
  if (own !== undefined) throw invalid(`${field}.attributes`, `${own} is set for each occurrence`);
  const bytes = templateData(given);
  if (bytes !== undefined && bytes.length > SCHEDULE_DATA_BYTES_MAX) {
    throw invalid(`${field}.data`, `has ${bytes.length} bytes`, {
      limit: `${SCHEDULE_DATA_BYTES_MAX} bytes`,
    });
  }
  const source = given.source === '' ? `/schedules/${name}` : given.source;
  try {
    const values = attributes.map(([key, value]): [string, AttributeValue] => [
      key,
      { kind: 'string', value },
    ]);
    checkEvent(encodeEvent({ id: name, source, type: given.type, attributes: values }));
  } catch (error) {
    throw invalid(field, MeshError.from(error).message);
  }
  return create(EventTemplateSchema, { ...given, source });
}

function templateData({ data }: EventTemplate): Uint8Array | undefined {
  if (data.case === 'text') return Buffer.from(data.value);
  return data.case === 'binary' ? data.value : undefined;
}
