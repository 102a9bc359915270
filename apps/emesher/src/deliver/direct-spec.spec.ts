import { describe, expect, it } from '@jest/globals';
import { checkSubscription, type SubscriptionInput } from '@eventmesh/delivery';
import { checkDirectSpec } from './direct-spec.ts';

const spec = (more: Partial<SubscriptionInput>) =>
  checkSubscription({ name: 's', topicFilters: ['a/#'], deliveryClass: 'direct', ...more });

const ASKED: readonly [string, Partial<SubscriptionInput>][] = [
  ['start', { start: { kind: 'earliest' } }],
  ['start', { start: { kind: 'position', partition: 0, position: 5 } }],
  ['ordered', { ordered: true }],
  ['deadLetter', { deadLetter: false }],
  ['deadLetterExpired', { deadLetterExpired: true }],
  ['ackTimeoutMs', { ackTimeoutMs: 5000 }],
  ['inFlightMax', { inFlightMax: 7 }],
  ['retry.kind', { retry: { kind: 'none' } }],
  ['retry.delayMs', { retry: { delayMs: 5 } }],
  ['retry.delayMaxMs', { retry: { delayMaxMs: 5000 } }],
  ['retry.attemptsMax', { retry: { attemptsMax: 3 } }],
  ['retry.delaysMs', { retry: { delaysMs: [1] } }],
  ['retry.ageMaxMs', { retry: { ageMaxMs: 1000 } }],
];

describe('a direct subscription', () => {
  it.each(ASKED)('is refused with %s of its own, which is named', (field, more) => {
    expect(() => checkDirectSpec(spec(more))).toThrow(`${field}: has no effect on the direct`);
  });

  it.each(ASKED)('that has a %s from before may keep it, or give it up', (_, more) => {
    expect(() => checkDirectSpec(spec(more), spec(more))).not.toThrow();
    expect(() => checkDirectSpec(spec({}), spec(more))).not.toThrow();
  });

  it('is taken with what has an effect, and with defaults that are spelt out', () => {
    for (const mode of ['shared', 'exclusive', 'broadcast'] as const) {
      const more = { mode, ephemeral: true, start: { kind: 'latest' } as const, retry: {} };
      expect(() => checkDirectSpec(spec({ ...more, ordered: false, paused: true }))).not.toThrow();
    }
  });
});

describe('a durable subscription', () => {
  it.each(ASKED)('is taken with %s', (_, more) => {
    expect(() => checkDirectSpec(spec({ ...more, deliveryClass: 'durable' }))).not.toThrow();
  });
});
