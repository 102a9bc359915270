import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { SettleOutcome } from '@eventmesh/adapter-api';
import type { Entry } from '@eventmesh/delivery';
import fc from 'fast-check';
import { TURN_EVENTS } from './engine-driver.ts';
import { Driven, idle } from './test/driven.ts';

// Turns are real, time stands still until it is moved.
beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate'] }));
afterEach(() => void jest.useRealTimers());

type Consumer = 'a' | 'b';
type Step =
  | { readonly do: 'offer'; readonly events: number; readonly key: string }
  | {
      readonly do: 'credit';
      readonly by: Consumer;
      readonly events: number;
      readonly bytes: number;
    }
  | {
      readonly do: 'settle';
      readonly by: Consumer;
      readonly events: number;
      readonly outcome: SettleOutcome;
    }
  | { readonly do: 'drain' | 'come or go'; readonly by: Consumer }
  | { readonly do: 'forget or know rights' }
  | { readonly do: 'pass'; readonly ms: number }
  /** Letters are durable, or fail, when somebody says so. */
  | { readonly do: 'end letters'; readonly works: boolean };

const by = fc.constantFrom<Consumer>('a', 'b');
const outcome = fc.constantFrom<SettleOutcome>(
  { kind: 'accept' },
  { kind: 'release' },
  { kind: 'release', delayMs: 300 },
  { kind: 'reject', reason: 'no' },
  { kind: 'renew' },
  { kind: 'return' },
);
const upTo = (max: number) => fc.integer({ min: 1, max });
const always = <T extends string>(name: T) => fc.constant(name);

const offer = fc.record({
  do: always('offer'),
  events: upTo(200),
  key: fc.constantFrom('', 'k', 'l'),
});
const credit = fc.record({
  do: always('credit'),
  by,
  events: upTo(300),
  bytes: fc.constantFrom(0, 0, 500),
});
const settle = fc.record({ do: always('settle'), by, events: upTo(150), outcome });
const pass = fc.record({ do: always('pass'), ms: fc.constantFrom(1, 299, 300, 1000, 30_000) });

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { arbitrary: offer, weight: 4 },
    { arbitrary: credit, weight: 4 },
    { arbitrary: settle, weight: 6 },
    { arbitrary: pass, weight: 3 },
    fc.record({ do: fc.constantFrom('drain' as const, 'come or go' as const), by }),
    fc.record({ do: always('forget or know rights') }),
    fc.record({ do: always('end letters'), works: fc.boolean() }),
  ),
  { minLength: 5, maxLength: 40 },
);

const retry = { kind: 'linear', delayMs: 300, attemptsMax: 3 } as const;

/** A driver between consumers who do as they are told, and letters that wait. */
class World {
  readonly driven: Driven;
  #writing: Entry[] = [];

  constructor(ordered: boolean) {
    const bury = (dead: readonly Entry[]) => void this.#writing.push(...dead);
    this.driven = new Driven({ ordered, retry, ackTimeoutMs: 30_000 }, { bury }).attach('a', 'b');
  }

  take(step: Step): void {
    const { driven } = this;
    const { driver } = driven;
    switch (step.do) {
      case 'offer':
        return void driven.offer(step.events, step.key);
      case 'credit':
        return driver.credit(step.by, step.events, step.bytes);
      case 'settle':
        return driven.settle(step.by, step.events, step.outcome);
      case 'drain':
        return void driver.drain(step.by);
      case 'come or go':
        return driver.has(step.by) ? driven.detach(step.by) : void driven.attach(step.by);
      case 'forget or know rights':
        driven.rightsKnown = !driven.rightsKnown;
        return;
      case 'pass':
        return void jest.advanceTimersByTime(step.ms);
      case 'end letters':
        return this.#endLetters(step.works);
    }
  }

  #endLetters(works: boolean): void {
    const { engine, driver } = this.driven;
    for (const entry of this.#writing.splice(0)) {
      if (works) engine.retire(entry, 'dead-lettered');
      else engine.revive(entry, 1000);
    }
    driver.wake();
  }
}

describe('a driver', () => {
  it('never rests while there is something to do, nor does too much in a turn', async () => {
    const property = fc.asyncProperty(fc.boolean(), steps, async (ordered, all) => {
      const world = new World(ordered);
      const { driven } = world;
      try {
        for (const step of all) {
          world.take(step);
          await idle(driven);
          // Nobody tells it that rights are known again: it asks.
          if (step.do === 'forget or know rights') jest.advanceTimersByTime(500);
          await idle(driven);
          if (driven.rightsKnown) expectAtRest(driven);
        }
        expectShortTurns(driven);
      } finally {
        driven.driver.close();
      }
      expect(jest.getTimerCount()).toBe(0);
    });
    await fc.assert(property, { numRuns: 300 });
  });
});

/** What the engine says itself: there is nothing to hand out, to bury, or to be woken for. */
function expectAtRest({ engine }: Driven): void {
  engine.tick();
  expect(engine.pump()).toEqual([]);
  expect(engine.takeDead()).toEqual([]);
  expect(engine.nextDue ?? Infinity).toBeGreaterThan(Date.now());
  if (engine.nextDue !== undefined) expect(jest.getTimerCount()).toBe(1);
}

function expectShortTurns({ told }: Driven): void {
  let events = 0;
  for (const word of told) {
    if (word === 'turn') events = 0;
    const [, gets = '0'] = /gets (\d+)/.exec(word) ?? [];
    events += Number(gets);
    expect(events).toBeLessThanOrEqual(TURN_EVENTS);
  }
}
