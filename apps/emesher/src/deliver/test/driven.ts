import type { Delivery, SettleOutcome } from '@eventmesh/adapter-api';
import {
  DeliveryEngine,
  checkSubscription,
  type Entry,
  type SubscriptionInput,
} from '@eventmesh/delivery';
import { decodeRecord, encodeEvent, encodeRecord, type RecordView } from '@eventmesh/event';
import { EngineDriver, type EngineDriverOptions } from '../engine-driver.ts';

export type DrivenOptions = Partial<Pick<EngineDriverOptions, 'beforeTurn' | 'bury' | 'waitMs'>>;

/** An engine that is driven, on the clock of the process, and a word for each thing that it calls. */
export class Driven {
  readonly engine: DeliveryEngine;
  readonly driver: EngineDriver;
  /** What was called, in order; a turn is told when it is over. */
  readonly told: string[] = [];
  /** What each consumer has and has not settled. */
  readonly out = new Map<string, Delivery[]>();
  rightsKnown = true;
  /** Called by a consumer that is being served. */
  onDeliver: () => void = () => undefined;
  /** Called when a turn is over. */
  onTurn: () => void = () => undefined;
  #position = 0;

  constructor(spec: Partial<SubscriptionInput> = {}, options: DrivenOptions = {}) {
    const now = Date.now;
    this.engine = new DeliveryEngine({
      spec: checkSubscription({ name: 'sub', topicFilters: ['#'], ...spec }),
      epoch: 1,
      now,
      random: () => 0,
      mayReceive: () => (this.rightsKnown ? true : undefined),
      heldMax: 10_000,
      heldBytesMax: 10_000_000,
      parkedKeysMax: 0,
      cursorBytesMax: Infinity,
      retryWindow: 16,
    });
    this.engine.openPartition(0, 1);
    const { bury = (dead: readonly Entry[]) => this.drop(dead) } = options;
    this.driver = new EngineDriver({
      ...options,
      engine: this.engine,
      now,
      onDelivered: (consumer, { length }) => this.told.push(`${consumer} gets ${length}`),
      onSettled: ({ length }, { kind }) => this.told.push(`${kind} ${length}`),
      bury: (dead) => {
        this.told.push(`bury ${dead.length}`);
        bury(dead);
      },
      afterTurn: () => {
        this.told.push('turn');
        this.onTurn();
      },
    });
  }

  get turns(): number {
    return this.told.filter((word) => word === 'turn').length;
  }

  attach(...consumers: string[]): this {
    for (const consumer of consumers) {
      this.out.set(consumer, []);
      this.driver.attach(consumer, {
        deliver: (deliveries) => {
          this.out.get(consumer)?.push(...deliveries);
          this.onDeliver();
        },
        gap: ({ from, to }) => this.told.push(`${consumer} misses ${from} to ${to}`),
        refused: () => undefined,
        ended: (reason) => this.told.push(`${consumer} ends: ${reason?.message ?? 'through'}`),
      });
    }
    return this;
  }

  detach(consumer: string): void {
    this.out.delete(consumer);
    this.driver.detach(consumer);
  }

  /** As a tap does it: a wake for each. */
  offer(events: number, key = ''): this {
    for (let n = 0; n < events; n++) {
      this.engine.offer(0, ++this.#position, recordOf(key));
      this.driver.wake();
    }
    this.engine.advance(0, this.#position, 0);
    return this;
  }

  /** The oldest that a consumer has, as many as there are of that number. */
  settle(consumer: string, events: number, outcome: SettleOutcome): void {
    const ids = (this.out.get(consumer) ?? []).splice(0, events).map(({ id }) => id);
    this.driver.settle(consumer, ids, outcome, false);
  }

  drop(dead: readonly Entry[]): void {
    for (const entry of dead) this.engine.retire(entry, 'dropped');
  }

  positions(consumer: string): number[] {
    return (this.out.get(consumer) ?? []).map(({ position }) => position);
  }
}

function recordOf(key: string): RecordView {
  const head = { tenant: 't', topic: 'a', principal: 'p', originSite: 's', destinations: [] };
  return decodeRecord(encodeRecord({ ...head, key, ingressTimeUs: 1, hops: [] }, EVENT));
}

const EVENT = encodeEvent({ id: '1', source: '/t', type: 't' });

/** One turn of the event loop, behind those that were asked for before it. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Turns until there are no more. */
export async function idle(driven: Driven): Promise<void> {
  for (let before = -1; before !== driven.turns;) {
    before = driven.turns;
    await nextTurn();
  }
}
