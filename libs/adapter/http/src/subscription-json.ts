import type { Start, SubscriptionChange, SubscriptionInput } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';

type Given = Readonly<Record<string, unknown>>;
/** One filter, of a shape that the mesh checks in full. */
type Filters = NonNullable<SubscriptionInput['filters']>;

const FIELDS = {
  name: 'string',
  topicFilters: 'strings',
  filters: 'filters',
  deliveryClass: 'string',
  mode: 'string',
  start: 'start',
  retry: 'retry',
  deadLetter: 'boolean',
  deadLetterExpired: 'boolean',
  ackTimeoutMs: 'number',
  ephemeral: 'boolean',
  inFlightMax: 'number',
  ordered: 'boolean',
  paused: 'boolean',
} as const;

const RETRY_FIELDS = {
  kind: 'string',
  delayMs: 'number',
  delayMaxMs: 'number',
  attemptsMax: 'number',
  delaysMs: 'numbers',
  ageMaxMs: 'number',
} as const;

/** Fields of a start beside its kind. */
const START_FIELDS: Readonly<Record<Start['kind'], Readonly<Record<string, 'number' | 'string'>>>> =
  Object.freeze({
    latest: {},
    earliest: {},
    time: { timeMs: 'number' },
    position: { partition: 'number', position: 'number' },
    after: { source: 'string', id: 'string' },
  });

/**
 * A subscription from its JSON form. Only the shape is checked here, so that nothing of another type
 * reaches the mesh; values are the mesh's to judge.
 *
 * @throws MeshError InvalidArgument that names the field.
 */
export function readSubscription(body: Given): SubscriptionInput {
  checkFields(body, FIELDS, '', 'subscription');
  for (const field of ['name', 'topicFilters']) {
    if (body[field] === undefined) throw invalid(field, 'is missing');
  }
  return body as unknown as SubscriptionInput;
}

/**
 * What is to change of a subscription, from its JSON form; what is left out stays.
 *
 * @param name From the path; the body may leave it out or repeat it.
 * @throws MeshError InvalidArgument that names the field.
 */
export function readChange(body: Given, name: string): SubscriptionChange {
  checkFields(body, { ...FIELDS, revision: 'number' }, '', 'a change of a subscription');
  const given = { name, ...body };
  if (given.name !== name) throw invalid('name', `is not "${name}" as in the path`);
  const { revision } = body;
  if (revision !== undefined && (!Number.isSafeInteger(revision) || Number(revision) < 0)) {
    throw invalid('revision', 'must be a whole number from 0');
  }
  return given;
}

/** Where a subscription is to begin. */
export function readStart(value: unknown, field = 'start'): Start {
  const start = object(value, field);
  const kind = String(start['kind']);
  if (!Object.hasOwn(START_FIELDS, kind)) {
    throw invalid(`${field}.kind`, `is not one of ${Object.keys(START_FIELDS).join(', ')}`);
  }
  const fields = START_FIELDS[kind as Start['kind']];
  checkFields(start, { kind: 'string', ...fields }, `${field}.`, field);
  for (const [name, type] of Object.entries(fields)) {
    const number = start[name];
    if (number === undefined) throw invalid(`${field}.${name}`, 'is missing');
    if (type === 'number' && (!Number.isSafeInteger(number) || (number as number) < 0)) {
      throw invalid(`${field}.${name}`, 'must be a whole number from 0');
    }
  }
  return start as unknown as Start;
}

/** Filters as given; the mesh compiles them and names what it does not like. */
export function filtersOf(value: unknown, field: string): Filters {
  if (!Array.isArray(value)) throw invalid(field, 'must be a list of filters');
  for (const [index, filter] of value.entries()) object(filter, `${field}[${index}]`);
  return value as Filters;
}

type Kind = (typeof FIELDS)[keyof typeof FIELDS] | 'numbers';

function checkFields(
  given: Given,
  known: Readonly<Record<string, Kind>>,
  prefix: string,
  of: string,
): void {
  for (const [name, value] of Object.entries(given)) {
    const field = `${prefix}${name}`.slice(0, 80);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) {
      const names = Object.keys(known).join(', ');
      throw invalid(field, `is not a field of ${of}; known are ${names}`);
    }
    checkKind(value, kind, field);
  }
}

function checkKind(value: unknown, kind: Kind, field: string): void {
  switch (kind) {
    case 'strings':
      if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) {
        throw invalid(field, 'must be a list of strings');
      }
      break;
    case 'numbers':
      if (!Array.isArray(value) || value.some((item) => typeof item !== 'number')) {
        throw invalid(field, 'must be a list of numbers');
      }
      break;
    case 'filters':
      filtersOf(value, field);
      break;
    case 'start':
      readStart(value, field);
      break;
    case 'retry':
      checkFields(object(value, field), RETRY_FIELDS, `${field}.`, field);
      break;
    default:
      if (typeof value !== kind) throw invalid(field, `must be a ${kind}`);
  }
}

function object(value: unknown, field: string): Given {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(field, 'must be an object');
  }
  return value as Given;
}
