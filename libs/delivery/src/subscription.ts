import { invalid } from '@eventmesh/errors';
import { checkTopicFilter } from '@eventmesh/event';
import { compileFilters, type FilterSpec } from '@eventmesh/filter';

export type DeliveryClass = 'durable' | 'direct';

/** How several consumers share a subscription: compete, one at a time, or each gets everything. */
export type SubscriptionMode = 'shared' | 'exclusive' | 'broadcast';

/** Where a new subscription begins. */
export type Start =
  | { readonly kind: 'latest' }
  | { readonly kind: 'earliest' }
  /** First event stored at or after, ms since the epoch. */
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'position'; readonly partition: number; readonly position: number };

export interface RetryPolicy {
  readonly kind: 'none' | 'linear' | 'exponential';
  /** First delay in ms. */
  readonly delayMs: number;
  /** Longest delay in ms. */
  readonly delayMaxMs: number;
  /** Failures until the event is dead-lettered. */
  readonly attemptsMax: number;
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
  readonly ackTimeoutMs: number;
  /** Vanishes with its consumer. */
  readonly ephemeral: boolean;
  /** Most deliveries in flight over all consumers. */
  readonly inFlightMax: number;
  /** Events of one key one after the other. */
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
  /** Compare-and-set token. */
  readonly revision: number;
}

export const SUBSCRIPTION_DEFAULTS = Object.freeze({
  filters: [] as readonly FilterSpec[],
  deliveryClass: 'durable',
  mode: 'shared',
  start: { kind: 'latest' },
  retry: { kind: 'exponential', delayMs: 1000, delayMaxMs: 60_000, attemptsMax: 16 },
  deadLetter: true,
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
  checkChoice('retry.kind', spec.retry.kind, ['none', 'linear', 'exponential']);
  checkBounds('ackTimeoutMs', spec.ackTimeoutMs, 1000, 43_200_000);
  checkBounds('inFlightMax', spec.inFlightMax, 1, 65_536);
  checkBounds('retry.attemptsMax', spec.retry.attemptsMax, 1, 1000);
  checkBounds('retry.delayMs', spec.retry.delayMs, 0, 86_400_000);
  checkBounds('retry.delayMaxMs', spec.retry.delayMaxMs, spec.retry.delayMs, 86_400_000);
  return spec;
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
  checkChoice('start.kind', start.kind, ['latest', 'earliest', 'time', 'position']);
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
