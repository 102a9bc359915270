import { invalid } from '@eventmesh/errors';
import { checkTopicFilter } from '@eventmesh/event';
import { compileFilters, type FilterSpec } from '@eventmesh/filter';
import type { OwnOfPart } from './broadcast-part.ts';
import { RETRY_DELAY_MS_MAX } from './retry.ts';

export type DeliveryClass = 'durable' | 'direct';

/** How several consumers share a subscription: compete, one at a time, or each gets everything. */
export type SubscriptionMode = 'shared' | 'exclusive' | 'broadcast';

/** Where a new subscription begins. */
export type Start =
  | { readonly kind: 'latest' }
  | { readonly kind: 'earliest' }
  /** First event stored at or after, ms since the epoch; a time that has not come is refused. */
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'position'; readonly partition: number; readonly position: number }
  /** Behind this event. */
  | { readonly kind: 'after'; readonly source: string; readonly id: string };

export interface RetryPolicy {
  readonly kind: 'none' | 'linear' | 'exponential' | 'list';
  /** First delay in ms. */
  readonly delayMs: number;
  /** Longest delay in ms. */
  readonly delayMaxMs: number;
  /** Failures until the event is dead-lettered. */
  readonly attemptsMax: number;
  /** For `list`: the delays in ms one after the other; the last one repeats. */
  readonly delaysMs: readonly number[];
  /** An event older than this, from its acceptance, is not tried again; 0: no limit. */
  readonly ageMaxMs: number;
}

/** What a subscription asks for. Times in ms. */
export interface SubscriptionSpec {
  /** 1 to 128 letters, digits, `-`, `_`, `.`. */
  readonly name: string;
  /** 1 to 64; an event matches when any of them does. */
  readonly topicFilters: readonly string[];
  /** All must be true. */
  readonly filters: readonly FilterSpec[];
  readonly deliveryClass: DeliveryClass;
  readonly mode: SubscriptionMode;
  readonly start: Start;
  readonly retry: RetryPolicy;
  /** Keep what cannot be delivered; otherwise it is dropped and counted. */
  readonly deadLetter: boolean;
  /** Keep what expired before it could be delivered, too. */
  readonly deadLetterExpired: boolean;
  readonly ackTimeoutMs: number;
  /** Vanishes with its consumer. */
  readonly ephemeral: boolean;
  /** Most deliveries in flight over all consumers. */
  readonly inFlightMax: number;
  /** Events of one key in order, at one consumer at a time. */
  readonly ordered: boolean;
  readonly paused: boolean;
}

/** A subscription as it stands: the spec, and what the mesh knows of it. */
export interface Subscription extends SubscriptionSpec {
  readonly tenant: string;
  /** Principal that created it; deliveries are authorised for it. */
  readonly owner: string;
  readonly site: string;
  /** Ms since the epoch. */
  readonly createdMs: number;
  /** Compare-and-set token; of a part of a broadcast it rises with each change of the whole, too. */
  readonly revision: number;
  /** The broadcast subscription that this is one consumer's part of; empty when it is none. */
  readonly broadcastOf: string;
  /** Of such a part. */
  readonly part?: OwnOfPart;
}

export const SUBSCRIPTION_DEFAULTS = Object.freeze({
  filters: [] as readonly FilterSpec[],
  deliveryClass: 'durable',
  mode: 'shared',
  start: { kind: 'latest' },
  retry: {
    kind: 'exponential',
    delayMs: 1000,
    delayMaxMs: 60_000,
    attemptsMax: 16,
    delaysMs: [] as readonly number[],
    ageMaxMs: 0,
  },
  deadLetter: true,
  deadLetterExpired: false,
  ackTimeoutMs: 30_000,
  ephemeral: false,
  inFlightMax: 1024,
  ordered: false,
  paused: false,
} satisfies Omit<SubscriptionSpec, 'name' | 'topicFilters'>);

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** What a caller gives: everything but name and topic filters has a default. */
export type SubscriptionInput = Pick<SubscriptionSpec, 'name' | 'topicFilters'> &
  Partial<Omit<SubscriptionSpec, 'retry'>> & { readonly retry?: Partial<RetryPolicy> };

/**
 * Completes a spec with defaults and checks every part.
 *
 * @throws MeshError InvalidArgument or Unimplemented that names the field and the limit.
 */
export function checkSubscription(input: SubscriptionInput): SubscriptionSpec {
  const spec: SubscriptionSpec = {
    ...SUBSCRIPTION_DEFAULTS,
    ...defined(input),
    retry: { ...SUBSCRIPTION_DEFAULTS.retry, ...defined(input.retry ?? {}) },
  } as SubscriptionSpec;
  if (!NAME.test(spec.name)) {
    throw invalid('name', `"${spec.name}" is not 1 to 128 letters, digits, -, _ and .`);
  }
  const { length } = spec.topicFilters;
  if (length < 1 || length > 64) {
    throw invalid('topicFilters', `there are ${length}`, { limit: '1 to 64 topic filters' });
  }
  spec.topicFilters.forEach((filter, index) => checkTopicFilter(filter, `topicFilters[${index}]`));
  compileFilters(spec.filters);
  checkChoice('deliveryClass', spec.deliveryClass, ['durable', 'direct']);
  checkChoice('mode', spec.mode, ['shared', 'exclusive', 'broadcast']);
  checkStart(spec.start);
  checkRetry(spec.retry);
  checkBounds('ackTimeoutMs', spec.ackTimeoutMs, 1000, 43_200_000);
  checkBounds('inFlightMax', spec.inFlightMax, 1, 65_536);
  return spec;
}

const RETRY_AGE_MS_MAX = 2_592_000_000;
const RETRY_DELAYS_MAX = 64;

function checkRetry(retry: RetryPolicy): void {
  checkChoice('retry.kind', retry.kind, ['none', 'linear', 'exponential', 'list']);
  checkBounds('retry.attemptsMax', retry.attemptsMax, 1, 1000);
  checkBounds('retry.delayMs', retry.delayMs, 0, RETRY_DELAY_MS_MAX);
  checkBounds('retry.delayMaxMs', retry.delayMaxMs, retry.delayMs, RETRY_DELAY_MS_MAX);
  checkBounds('retry.ageMaxMs', retry.ageMaxMs, 0, RETRY_AGE_MS_MAX);
  const { length } = retry.delaysMs;
  const least = retry.kind === 'list' ? 1 : 0;
  if (length < least || length > RETRY_DELAYS_MAX) {
    const limit = `${least} to ${RETRY_DELAYS_MAX} delays`;
    throw invalid('retry.delaysMs', `there are ${length}`, { limit });
  }
  for (const [index, delay] of retry.delaysMs.entries()) {
    checkBounds(`retry.delaysMs[${index}]`, delay, 0, RETRY_DELAY_MS_MAX);
  }
}

function defined(input: object): object {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

function checkChoice(field: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value)) {
    throw invalid(field, `"${value}" is not one of ${choices.join(', ')}`);
  }
}

/** @throws MeshError InvalidArgument that names the field and the limit. */
export function checkStart(start: Start): Start {
  checkChoice('start.kind', start.kind, ['latest', 'earliest', 'time', 'position', 'after']);
  if (start.kind === 'after') {
    for (const field of ['source', 'id'] as const) {
      if (start[field] === '') throw invalid(`start.${field}`, 'is empty');
    }
  }
  if (start.kind === 'time') checkBounds('start.timeMs', start.timeMs, 0, TIME_MS_MAX);
  if (start.kind === 'position') {
    checkBounds('start.partition', start.partition, 0, 65_535);
    checkBounds('start.position', start.position, 0, Number.MAX_SAFE_INTEGER);
  }
  return start;
}

/** The last moment that a Date can hold. */
const TIME_MS_MAX = 8_640_000_000_000_000;

function checkBounds(field: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalid(field, `${value} is out of bounds`, { limit: `${min} to ${max}` });
  }
}
