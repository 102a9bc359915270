import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DeliveryEngine, RETRY_WINDOW, checkSubscription } from './index.ts';
import { RetryPace } from './retry-pace.ts';
import { recordOf } from './test/rig.ts';

const RECORD = recordOf({ key: '', ingressMs: 0, expiryMs: 0 });
const STORM = 3000;
const IN_FLIGHT_MAX = 512;

/** A subscription whose consumer has failed on each of many events, all of them due again. */
function afterOutage() {
  const clock = { now: 1000 };
  const engine = new DeliveryEngine({
    spec: checkSubscription({
      ...{ name: 's', topicFilters: ['#'], inFlightMax: IN_FLIGHT_MAX },
      retry: { kind: 'list', delaysMs: [1000], attemptsMax: 100 },
    }),
    ...{ epoch: 1, now: () => clock.now, random: () => 0, mayReceive: () => true },
    ...{ heldMax: STORM * 2, heldBytesMax: 1e9, parkedKeysMax: 0, cursorBytesMax: 1e6 },
    retryWindow: RETRY_WINDOW,
  });
  engine.openPartition(0, 1);
  engine.attach('c');
  engine.credit('c', 1_000_000);
  const pump = () => engine.pump().flatMap(({ deliveries }) => deliveries.map(({ id }) => id));
  for (let position = 1; position <= STORM; position++) engine.offer(0, position, RECORD);
  for (let ids = pump(); ids.length > 0; ids = pump()) engine.settle('c', ids, { kind: 'release' });
  clock.now += 1000;
  engine.tick();
  return { engine, clock, pump };
}

describe('retries after an outage', () => {
  it('begin with a small window that doubles with each round of successes, to all that may be out', () => {
    const { engine, pump } = afterOutage();
    const rounds: number[] = [];
    for (let ids = pump(); ids.length > 0; ids = pump()) {
      rounds.push(ids.length);
      engine.settle('c', ids, { kind: 'accept' });
    }
    expect(rounds.slice(0, 6)).toEqual([16, 32, 64, 128, 256, 512]);
    expect(rounds.reduce((sum, one) => sum + one)).toBe(STORM);
    expect(engine.waiting).toEqual({ delayed: 0, nextDueMs: 0, paced: 0, retryWindow: 0 });
  });

  it('stay at the window while they go on failing', () => {
    const { engine, clock, pump } = afterOutage();
    for (let rounds = 0; rounds < 100; rounds++) {
      const ids = pump();
      expect(ids).toHaveLength(RETRY_WINDOW);
      engine.settle('c', ids, { kind: 'release' });
      engine.tick();
      clock.now += 10;
    }
    expect(engine.waiting).toMatchObject({ retryWindow: RETRY_WINDOW });
  });

  it('do not hold back what was never delivered', () => {
    const { engine, pump } = afterOutage();
    expect(pump()).toHaveLength(RETRY_WINDOW);
    for (let position = STORM + 1; position <= STORM + 400; position++) {
      engine.offer(0, position, RECORD);
    }
    expect(pump()).toHaveLength(400);
  });
});

const happenings = fc.array(fc.boolean(), { maxLength: 400 });

describe('the pace of retries', () => {
  it('is never slow while fewer fail in a row than the window is large', () => {
    fc.assert(
      fc.property(happenings, fc.integer({ min: 2, max: 20 }), (all, least) => {
        const pace = new RetryPace(least, 100);
        let inARow = 0;
        for (const success of all) {
          if (success || ++inARow === least) {
            inARow = 0;
            pace.succeeded();
          } else pace.failed();
          expect(pace.isSlow).toBe(false);
        }
      }),
    );
  });

  it('has a window from the least to what may be out, and comes back after so many successes', () => {
    fc.assert(
      fc.property(happenings, fc.nat(120), (all, least) => {
        const pace = new RetryPace(least + 1, 100);
        for (const success of all) {
          if (success) pace.succeeded();
          else pace.failed();
          expect(pace.window).toBeGreaterThanOrEqual(Math.min(least + 1, 100));
          expect(pace.window).toBeLessThanOrEqual(100);
        }
        for (let successes = 0; successes < 100; successes++) pace.succeeded();
        expect(pace.isSlow).toBe(false);
      }),
    );
  });
});
