import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeRecord, encodeEvent, encodeRecord } from '@eventmesh/event';
import {
  DeliveryEngine,
  checkSubscription,
  type EngineState,
  type PositionRange,
} from './index.ts';

const EVENT = encodeEvent({ id: '1', source: '/t', type: 't' });
const KEYS = ['', 'x', 'y'];

const keyOf = (position: number) => KEYS[position % KEYS.length] ?? '';

const recordAt = (position: number) =>
  decodeRecord(
    encodeRecord(
      {
        tenant: 't',
        topic: 'a',
        principal: 'p',
        originSite: 's',
        destinations: [],
        key: keyOf(position),
        ingressTimeUs: 1,
        hops: [],
      },
      EVENT,
    ),
  );

type Step =
  | { readonly do: 'offer'; readonly matched: boolean }
  | { readonly do: 'credit'; readonly consumer: string; readonly events: number }
  | {
      readonly do: 'settle';
      readonly pick: number;
      readonly outcome: 'accept' | 'release' | 'reject';
    }
  | { readonly do: 'attach' | 'detach'; readonly consumer: string }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'restart' };

const consumer = fc.constantFrom('a', 'b');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('offer' as const), matched: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('credit' as const), consumer, events: fc.nat(4) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      pick: fc.nat(20),
      outcome: fc.constantFrom('accept' as const, 'release' as const, 'reject' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('attach' as const, 'detach' as const), consumer }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(5000) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

/** The engine under a naive record of what has happened to each position. */
class World {
  readonly ordered: boolean;
  engine: DeliveryEngine;
  now = 1000;
  epoch = 1;
  /** Position → whether it matched. The log. */
  readonly log: boolean[] = [];
  readonly settled = new Set<number>();
  readonly inFlight = new Map<number, { position: number; consumer: string }>();
  readonly credit = new Map<string, number>();
  readonly firstDelivered: number[] = [];

  constructor(ordered: boolean) {
    this.ordered = ordered;
    this.engine = this.make(undefined, 1, []);
    this.attach('a');
  }

  make(state: EngineState | undefined, floor: number, settled: readonly PositionRange[]) {
    const engine = new DeliveryEngine(
      {
        spec: checkSubscription({
          name: 's',
          topicFilters: ['#'],
          ordered: this.ordered,
          ackTimeoutMs: 2000,
          retry: { attemptsMax: 3, delayMs: 100, delayMaxMs: 1000 },
        }),
        epoch: this.epoch,
        now: () => this.now,
        random: () => 0,
        mayReceive: () => true,
        heldMax: 1000,
        heldBytesMax: 1_000_000,
      },
      state,
    );
    engine.openPartition(0, floor, settled);
    return engine;
  }

  attach(name: string) {
    this.engine.attach(name);
    this.credit.set(name, 0);
  }

  offerFrom(position: number) {
    const matched = this.log[position - 1] === true;
    if (matched) this.engine.offer(0, position, recordAt(position));
    this.engine.advance(0, position, matched ? 0 : 1);
  }

  run(step: Step) {
    if (step.do === 'offer') {
      this.log.push(step.matched);
      this.offerFrom(this.log.length);
    } else if (step.do === 'credit' && this.credit.has(step.consumer)) {
      this.engine.credit(step.consumer, step.events);
      this.credit.set(step.consumer, (this.credit.get(step.consumer) ?? 0) + step.events);
    } else if (step.do === 'settle') this.settle(step.pick, step.outcome);
    else if (step.do === 'attach' && !this.credit.has(step.consumer)) this.attach(step.consumer);
    else if (step.do === 'detach' && this.credit.has(step.consumer)) {
      this.engine.detach(step.consumer);
      this.credit.delete(step.consumer);
      for (const [id, flight] of this.inFlight) {
        if (flight.consumer === step.consumer) this.inFlight.delete(id);
      }
    } else if (step.do === 'wait') this.now += step.ms;
    else if (step.do === 'restart') this.restart();
    this.pump();
    this.check();
  }

  settle(pick: number, kind: 'accept' | 'release' | 'reject') {
    const [id, flight] = [...this.inFlight][pick % Math.max(1, this.inFlight.size)] ?? [];
    if (id === undefined || flight === undefined) return;
    this.inFlight.delete(id);
    const outcome = kind === 'reject' ? { kind, reason: 'no' } : { kind };
    const refused = this.engine.settle(flight.consumer, [id], outcome);
    if (refused.length === 0 && kind === 'accept') this.settled.add(flight.position);
  }

  restart() {
    const state = this.engine.state();
    const { floor, settled } = this.engine.partition(0).take(1000);
    this.epoch++;
    this.inFlight.clear();
    this.engine = this.make(state, floor, settled);
    const counted = this.engine.partition(0).countedUpTo;
    for (let position = floor; position <= this.log.length; position++) {
      const matched = this.log[position - 1] === true;
      if (matched) this.engine.offer(0, position, recordAt(position));
      // As the reader does: what was counted before is advanced over in one step.
      if (position === counted) this.engine.advance(0, position, 1);
      else if (position > counted) this.engine.advance(0, position, matched ? 0 : 1);
    }
    for (const name of this.credit.keys()) this.attach(name);
  }

  pump() {
    this.engine.tick();
    for (const dead of this.engine.takeDead()) {
      this.engine.retire(dead, 'dead-lettered');
      this.settled.add(dead.position);
    }
    for (const { consumer: name, deliveries } of this.engine.pump()) {
      for (const { id, entry } of deliveries) {
        expect(this.inFlight.has(id)).toBe(false);
        expect(this.settled.has(entry.position)).toBe(false);
        if (!this.firstDelivered.includes(entry.position)) this.firstDelivered.push(entry.position);
        for (const [old, flight] of this.inFlight) {
          if (flight.position === entry.position) this.inFlight.delete(old);
        }
        this.inFlight.set(id, { position: entry.position, consumer: name });
      }
      const left = (this.credit.get(name) ?? 0) - deliveries.length;
      expect(left).toBeGreaterThanOrEqual(0);
      this.credit.set(name, left);
    }
  }

  check() {
    const { counters, held } = this.engine;
    const out =
      counters.delivered +
      counters.filtered +
      counters.expired +
      counters.deadLettered +
      counters.dropped;
    expect(counters.considered).toBe(out + held);
    expect(counters.considered).toBe(this.log.length);
    const floor = this.engine.partition(0).floor;
    for (let position = 1; position < floor; position++) {
      expect(this.settled.has(position) || this.log[position - 1] === false).toBe(true);
    }
    if (this.ordered) this.checkKeys();
  }

  checkKeys() {
    const out = [...this.inFlight.values()].map(({ position }) => keyOf(position)).filter(Boolean);
    expect(new Set(out).size).toBe(out.length);
  }
}

describe('the delivery engine against a naive record', () => {
  it.each([false, true])(
    'keeps its books, credit, floor and keys whatever happens (ordered: %s)',
    (ordered) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
          const world = new World(ordered);
          for (const each of steps) world.run(each);
          for (const key of ['x', 'y']) {
            const first = world.firstDelivered.filter((position) => keyOf(position) === key);
            expect(first).toEqual([...first].sort((a, b) => a - b));
          }
        }),
        { numRuns: 500 },
      );
    },
  );
});
