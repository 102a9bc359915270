import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  ConfigError,
  boolean,
  choice,
  duration,
  integer,
  list,
  loadConfig,
  optional,
  section,
  size,
  text,
  type ConfigOf,
} from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import type { Kv, KvOperation } from '@eventmesh/kv-api';
import { DeliveryClass, DurabilityClass, LatePolicy } from '@eventmesh/proto-gen/event';
import {
  EventTypeSchema,
  EventType_Enforcement as Enforcement,
  QuotaSchema,
  ScheduleSchema,
  TopicSchema,
} from '@eventmesh/proto-gen/governance';
import { parse } from 'yaml';
import { NAME_PATTERN, TENANT_PATTERN, checkEventType, checkQuota, checkTopic } from './checks.ts';
import { deadLetterQuotaEntry } from './dead-letter-quota.ts';
import { putEventType, putQuota, putSchedule, putTopic } from './entries.ts';
import type { PolicyState } from './policy-state.ts';
import { SCHEDULE_NAME_PATTERN, checkSchedule } from './schedule-checks.ts';

const tenant = text('Tenant.', { pattern: TENANT_PATTERN, default: 'default' });
const DELIVERY = Object.freeze({
  durable: DeliveryClass.DURABLE,
  direct: DeliveryClass.DIRECT,
});
const DURABILITY = Object.freeze({
  memory: DurabilityClass.MEMORY,
  'page-cache': DurabilityClass.PAGE_CACHE,
  fsync: DurabilityClass.FSYNC,
  'quorum-memory': DurabilityClass.QUORUM_MEMORY,
  'quorum-fsync': DurabilityClass.QUORUM_FSYNC,
});
const LATE = Object.freeze({
  fire: LatePolicy.FIRE,
  skip: LatePolicy.SKIP,
  'dead-letter': LatePolicy.DEAD_LETTER,
});
const ENFORCEMENT = Object.freeze({ refuse: Enforcement.REFUSE, warn: Enforcement.WARN });
const names = <K extends string>(of: Readonly<Record<K, number>>): K[] => Object.keys(of) as K[];
const count = (about: string) =>
  integer(about, { min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 });

/** The policy to begin with. */
const bootstrapSpec = section('The topics, event types, quotas and schedules to begin with.', {
  topics: list(
    'Catalogue entries.',
    section('The topics that a filter matches; the most specific entry applies.', {
      tenant,
      filter: text('Topic filter.'),
      description: text('For people.', { default: '' }),
      owner: text('People or teams to ask.', { default: '' }),
      deliveryClass: choice('Delivery class.', names(DELIVERY), { default: 'durable' }),
      retention: duration('Age at which events end; 0ms: as long as the log keeps them.', {
        default: '0ms',
      }),
      eventTypes: list('Event types that are allowed; none: any.', text('Type.')),
      durabilityMin: optional(choice('Least durability of the store.', names(DURABILITY))),
      eventBytesMax: size('Largest event; 0B: the limit of the emesher.', { default: '0B' }),
    }),
  ),
  eventTypes: list(
    'Event types.',
    section('A CloudEvents type.', {
      tenant,
      type: text('CloudEvents `type`.'),
      schema: optional(text('JSON Schema, as JSON.', { maxLength: 65_536 })),
      schemaFile: optional(text('File with the JSON Schema, relative to this one.')),
      enforcement: choice('What happens to events that break the schema.', names(ENFORCEMENT), {
        default: 'refuse',
      }),
      description: text('For people.', { default: '' }),
    }),
  ),
  quotas: list(
    'Limits; all that apply hold. 0 means unlimited.',
    section('Limits of a tenant or, with principal, of one of its principals.', {
      tenant,
      principal: optional(text('Name of the principal.', { pattern: NAME_PATTERN })),
      eventsPerSecond: count('Events a second.'),
      bytesPerSecond: size('Bytes a second.', { default: '0B' }),
      eventBytesMax: size('Largest event.', { default: '0B' }),
      subscriptionsMax: count('Most subscriptions.'),
    }),
  ),
  deadLetters: list(
    'What dead letters may take; what is left out is as the emeshers are configured.',
    section('The dead letters of a tenant, at each site.', {
      tenant,
      bytesMax: optional(size('Stored bytes; at the limit events are held.', { min: '64KiB' })),
      retention: optional(duration('Age at which they are dropped; 0ms keeps them.')),
      alarmPercent: optional(
        integer('Percent of the bytes from which the alarm is raised.', { min: 1, max: 100 }),
      ),
    }),
  ),
  schedules: list(
    'Events that are published again and again, by the calendar.',
    section('A schedule.', {
      tenant,
      name: text('Name.', { pattern: SCHEDULE_NAME_PATTERN }),
      description: text('For people.', { default: '' }),
      cron: text('Minute, hour, day of month, month, day of week; seconds may stand before them.'),
      timeZone: text('IANA time zone.', { default: 'UTC' }),
      topic: text('Topic to publish to.'),
      owner: text('Who it publishes as, `user:NAME` or `api-key:NAME`.', {
        pattern: '^(user|api-key|service):[A-Za-z0-9._@:-]{1,128}$',
      }),
      type: text('CloudEvents `type`.'),
      source: text('CloudEvents `source`; default `/schedules/NAME`.', { default: '' }),
      data: text('The data, as text.', { default: '', maxLength: 65_536 }),
      contentType: text('Content type of the data.', { default: 'application/json' }),
      key: text('Order key (partitionkey).', { default: '' }),
      deliveryClass: choice('Delivery class.', names(DELIVERY), { default: 'durable' }),
      latePolicy: choice('What becomes of late occurrences.', names(LATE), { default: 'fire' }),
      paused: boolean('Made, but not running.', false),
    }),
  ),
});

/** Every problem of a bootstrap file's text, one a line; `dir` is where schema files are. */
export function checkBootstrap(source: string, dir = '.'): string[] {
  try {
    parseBootstrap(source, dir);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [...error.problems];
    throw error;
  }
}

export interface Bootstrap {
  readonly entries: readonly KvOperation[];
}

/** @throws ConfigError with every problem. */
export function readBootstrap(file: string): Bootstrap {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([`bootstrap.file: ${(error as Error).message}`]);
  }
  try {
    return parseBootstrap(source, dirname(file));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => `${file}: ${problem}`));
  }
}

/** @throws ConfigError with every problem. */
export function parseBootstrap(source: string, dir: string): Bootstrap {
  const given = loadConfig(bootstrapSpec, { value: parseYaml(source) });
  const problems: string[] = [];
  const entries = new Map<string, KvOperation>();
  const add = (at: string, make: () => KvOperation) => {
    try {
      const operation = make();
      if (entries.has(operation.key)) problems.push(`${at}: is there twice`);
      entries.set(operation.key, operation);
    } catch (error) {
      problems.push(`${at}: ${MeshError.from(error).message}`);
    }
  };
  given.topics.forEach((topic, index) => add(`topics[${index}]`, () => topicEntry(topic)));
  given.eventTypes.forEach((type, index) =>
    add(`eventTypes[${index}]`, () => typeEntry(type, dir)),
  );
  given.quotas.forEach((quota, index) => add(`quotas[${index}]`, () => quotaEntry(quota)));
  given.deadLetters.forEach((quota, index) =>
    add(`deadLetters[${index}]`, () => deadLetterQuotaEntry(quota)),
  );
  given.schedules.forEach((schedule, index) =>
    add(`schedules[${index}]`, () => scheduleEntry(schedule)),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return { entries: [...entries.values()] };
}

type Given = ConfigOf<typeof bootstrapSpec>;

function topicEntry(topic: Given['topics'][number]): KvOperation {
  const { deliveryClass, durabilityMin, retention, eventBytesMax, eventTypes, filter } = topic;
  const { tenant: of, description, owner } = topic;
  return putTopic(
    checkTopic(
      create(TopicSchema, {
        tenant: of,
        topicFilter: filter,
        description,
        owner,
        deliveryClass: DELIVERY[deliveryClass],
        retentionMs: BigInt(retention),
        eventTypes: [...eventTypes],
        durabilityMin:
          durabilityMin === undefined ? DurabilityClass.UNSPECIFIED : DURABILITY[durabilityMin],
        eventBytesMax: BigInt(eventBytesMax),
      }),
      'topic',
    ),
  );
}

function typeEntry(type: Given['eventTypes'][number], dir: string): KvOperation {
  const { tenant: of, type: name, description, schema, schemaFile, enforcement } = type;
  if (schema !== undefined && schemaFile !== undefined) {
    throw new MeshError('InvalidArgument', 'give schema or schemaFile, not both');
  }
  const jsonSchema =
    schemaFile === undefined ? (schema ?? '') : readSchemaFile(resolve(dir, schemaFile));
  return putEventType(
    checkEventType(
      create(EventTypeSchema, {
        tenant: of,
        type: name,
        jsonSchema,
        description,
        enforcement: ENFORCEMENT[enforcement],
      }),
      'event_type',
    ),
  );
}

function readSchemaFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('InvalidArgument', `schemaFile: ${(error as Error).message}`);
  }
}

function quotaEntry(quota: Given['quotas'][number]): KvOperation {
  const { tenant: of, principal = '', eventsPerSecond, bytesPerSecond } = quota;
  return putQuota(
    checkQuota(
      create(QuotaSchema, {
        tenant: of,
        principal,
        eventsPerSecond: BigInt(eventsPerSecond),
        bytesPerSecond: BigInt(bytesPerSecond),
        eventBytesMax: BigInt(quota.eventBytesMax),
        subscriptionsMax: BigInt(quota.subscriptionsMax),
      }),
      'quota',
    ),
  );
}

/** Without `since_ms`, so that the same file makes the same entry: it begins when it is first kept. */
function scheduleEntry(schedule: Given['schedules'][number]): KvOperation {
  const { type, source, data, contentType, key, deliveryClass, latePolicy, ...rest } = schedule;
  const attributes = {
    ...(data === '' ? {} : { datacontenttype: contentType }),
    ...(key === '' ? {} : { partitionkey: key }),
  };
  return putSchedule(
    checkSchedule(
      create(ScheduleSchema, {
        ...rest,
        event: {
          type,
          source,
          attributes,
          ...(data === '' ? {} : { data: { case: 'text', value: data } }),
        },
        deliveryClass: DELIVERY[deliveryClass],
        latePolicy: LATE[latePolicy],
      }),
      'schedule',
      Date.now(),
    ),
  );
}

function parseYaml(source: string): unknown {
  try {
    return parse(source) ?? {};
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
}

const OPERATIONS_MAX = 100;

const MARK_KEY = 'bootstrap';

/**
 * Puts a bootstrap into the store: `when-empty` only into one that has nothing (or where an earlier
 * bootstrap was cut off), `always` also over what is there; neither deletes. Entries that are there
 * already are left alone. Answers whether anything was written.
 *
 * @param marks keeps how far the bootstrap got, apart from the policy itself.
 */
export async function applyBootstrap(
  state: PolicyState,
  marks: Kv,
  { entries }: Bootstrap,
  mode: 'when-empty' | 'always',
): Promise<boolean> {
  const mark = async (text: string) => {
    await marks.put(MARK_KEY, new TextEncoder().encode(text));
  };
  const noted = await marks.get(MARK_KEY);
  const cutOff = noted !== undefined && new TextDecoder().decode(noted.value) === 'started';
  if (mode === 'when-empty' && state.version !== 0 && !cutOff) return false;
  const before = state.version;
  await mark('started');
  for (let from = 0; from < entries.length; from += OPERATIONS_MAX) {
    const part = entries.slice(from, from + OPERATIONS_MAX);
    await state.commit(() => part.filter((operation) => !state.holds(operation)));
  }
  await mark('done');
  return state.version !== before;
}
