import assert from 'node:assert/strict';
import { decodeRecord, encodeEvent, encodeRecord, type RecordView } from '@eventmesh/event';
import {
  DeliveryEngine,
  decodeState,
  encodeState,
  isSettledBy,
  type Entry,
  type PartitionCursor,
} from '../index.ts';
import { RANDOM, type Naive, type NaiveEvent, type Verb } from './naive.ts';

export interface RigBounds {
  readonly heldMax: number;
  readonly parkedKeysMax: number;
  readonly retryWindow: number;
}

/** A cursor as a store keeps it. */
interface Stored extends Omit<PartitionCursor, 'state'> {
  readonly state: Uint8Array;
}

/** The engine with what surrounds it in an emesher: a log, a store of cursors, dead letters. */
export class Rig {
  readonly naive: Naive;
  engine: DeliveryEngine;
  epoch = 0;
  /** By partition. */
  cursors: Stored[];
  rightsKnown = true;
  lettersWork = true;
  paused = false;
  /** Whether what is wanted back is read again. */
  readsAgain = true;
  readonly #bounds: RigBounds;
  readonly #floors: number[];

  constructor(naive: Naive, bounds: RigBounds) {
    this.naive = naive;
    this.#bounds = bounds;
    this.cursors = naive.log.map((_, partition) => fresh(partition, 1));
    this.#floors = naive.log.map(() => 1);
    this.engine = this.takeOver();
  }

  /** A new owner with a newer epoch goes on from what is stored. */
  takeOver(): DeliveryEngine {
    const { naive } = this;
    this.engine = new DeliveryEngine({
      spec: naive.spec,
      epoch: ++this.epoch,
      now: () => naive.nowMs,
      random: () => RANDOM,
      mayReceive: () => (this.rightsKnown ? true : undefined),
      heldBytesMax: 1_000_000,
      ...this.#bounds,
      cursorBytesMax: 1_000_000,
    });
    for (const { partition, floor, settled, state } of this.cursors) {
      this.engine.openPartition(partition, floor, settled, decodeState(state));
      this.#floors[partition] = floor;
    }
    for (const name of naive.consumers.keys()) {
      this.engine.attach(name);
      naive.join(name);
    }
    naive.tookOver(this.#bounds.retryWindow);
    this.engine.pause(this.paused);
    return this.engine;
  }

  /** Writes what has moved, of these partitions; the others fail. */
  writeCursors(works: (partition: number) => boolean) {
    const moved = this.engine.takeCursors(true);
    for (const partition of this.naive.log.keys()) {
      if (moved.every((cursor) => cursor.partition !== partition)) this.naive.unchanged(partition);
    }
    for (const { partition, floor, settled, state } of moved) {
      if (!works(partition)) {
        this.engine.cursorFailed(partition);
        continue;
      }
      this.cursors[partition] = { partition, floor, settled, state: encodeState(state) };
      const kept = decodeState(encodeState(state));
      this.naive.written(partition, (event) =>
        isSettledBy({ floor, settled }, kept, event.position, recordOf(event)),
      );
    }
  }

  seek(partition: number, floor: number) {
    this.cursors[partition] = fresh(partition, floor);
    this.naive.crashed();
    this.naive.sought(partition, floor);
    this.takeOver();
  }

  settle(by: string, ids: readonly number[], verb: Verb, cumulative: boolean) {
    const all = cumulative ? this.engine.upTo(by, ids) : ids;
    if (cumulative) this.#checkUpTo(by, ids, all);
    // As the caller means it: a release of several says so of each.
    const comesAgain = verb.kind === 'release' || verb.kind === 'return';
    const order = comesAgain && this.naive.spec.ordered ? all.toReversed() : all;
    const expected = order.filter((id) => !this.naive.settle(id, by, verb));
    assert.deepEqual(sorted(this.engine.settle(by, all, verb)), sorted(expected), 'refused');
  }

  #checkUpTo(by: string, ids: readonly number[], all: readonly number[]) {
    const newest = Math.max(0, ...ids);
    const expected = this.naive.out.filter((out) => out.consumer === by && out.id <= newest);
    const wanted = new Set([...ids, ...expected.map(({ id }) => id)]);
    assert.deepEqual(sorted(all), sorted([...wanted]), 'cumulative');
  }

  /** Everything works, somebody accepts whatever comes: nothing may be left in the end. */
  quiesce() {
    const { naive, engine } = this;
    this.rightsKnown = true;
    this.readsAgain = true;
    this.lettersWork = true;
    engine.pause((this.paused = false));
    for (const name of [...naive.consumers.keys()]) {
      engine.detach(name);
      naive.leave(name);
    }
    engine.attach('last');
    naive.join('last');
    engine.credit('last', 1_000_000);
    naive.credit('last', 1_000_000, 0);
    for (let turns = 0; turns < 10_000; turns++) {
      this.turn();
      const ids = naive.out.map(({ id }) => id);
      if (ids.length > 0) this.settle('last', ids, { kind: 'accept' }, false);
      else if (engine.nextDue === undefined) break;
      else naive.nowMs = Math.max(naive.nowMs, engine.nextDue);
    }
    assert.equal(engine.held, 0, 'something is held for ever');
    assert.deepEqual(engine.stuckKeys(1), []);
    this.writeCursors(() => true);
    for (const [partition, log] of naive.log.entries()) {
      const floor = Math.max(log.length + 1, naive.from[partition] ?? 1);
      assert.equal(this.cursors[partition]?.floor, floor, 'the last cursor');
    }
  }

  /** What an emesher does after each call: leases, reading, handing out, dead letters. */
  turn() {
    this.naive.tick();
    this.engine.tick();
    this.#read();
    for (let more = true; more;) {
      this.#handOut();
      const buried = this.#bury();
      more = this.#read() || buried;
    }
    this.#check();
  }

  #handOut() {
    for (const { consumer, deliveries } of this.engine.pump()) {
      assert(this.rightsKnown && !this.paused, 'nothing may go out now');
      for (const { id, entry } of deliveries) {
        this.naive.handedOut(id, this.#event(entry), consumer, entry);
      }
    }
  }

  /** Whether there was something to read, and room for it. */
  #read(): boolean {
    let read = false;
    for (const [partition, log] of this.naive.log.entries()) {
      const progress = this.engine.partition(partition);
      while (progress.next <= log.length && !this.engine.saturated) {
        const event = this.naive.event(partition, progress.next);
        const { position } = event;
        if (event.matched) this.engine.offer(partition, position, recordOf(event));
        this.engine.advance(partition, position, event.matched ? 0 : 1);
        read = true;
      }
    }
    return this.#readAgain() || read;
  }

  /** Reads for parked keys, two positions at a time; whether there was something to read. */
  #readAgain(): boolean {
    let read = false;
    for (const [partition, log] of this.naive.log.entries()) {
      for (;;) {
        const from = this.engine.wantedFrom(partition);
        if (from === undefined || !this.readsAgain || this.engine.fullAgain) break;
        const upTo = Math.min(from + 1, log.length);
        const found = log.slice(from - 1, upTo).map((event) => [event.position, event] as const);
        const records = found.map(([position, event]) => [position, recordOf(event)] as const);
        const matched = new Map(records.map(([at, record]) => [record, log[at - 1]?.matched]));
        this.engine.offerAgain(partition, from, upTo, records, (of) => matched.get(of) === true);
        read = true;
      }
    }
    return read;
  }

  /** Whether some were buried, which may let others go. */
  #bury(): boolean {
    const dead = this.engine.takeDead();
    for (const entry of dead) {
      const event = this.#event(entry);
      this.naive.givenUp(event, entry.reason);
      if (this.lettersWork) {
        this.engine.retire(entry, 'dead-lettered');
        this.naive.buried(event);
      } else this.engine.revive(entry, 1000);
    }
    return dead.length > 0 && this.lettersWork;
  }

  #check() {
    const { naive, engine } = this;
    const { heldMax, parkedKeysMax } = this.#bounds;
    assert.equal(engine.inFlight, naive.out.length, 'in flight');
    assert(engine.held - engine.parkedEvents <= heldMax, 'held in memory');
    assert(engine.parkedKeys <= parkedKeysMax, 'parked keys');
    assert.equal(engine.waiting.retryWindow, naive.slowWindow ?? 0, 'window of retries');
    const read = naive.log.map((_, partition) => engine.partition(partition));
    naive.checkBooks(engine.counters, engine.held, read);
    const flows = this.rightsKnown && !this.paused && this.readsAgain;
    // While events are on their way back a quarter of the memory is theirs.
    if (flows && engine.parkedKeys < parkedKeysMax) naive.checkFlow(read, heldMax * 0.75);
    for (const [partition, log] of naive.log.entries()) {
      const { floor } = engine.partition(partition);
      assert(floor >= (this.#floors[partition] ?? 0), 'the floor has gone back');
      this.#floors[partition] = floor;
      for (const event of log.slice((naive.from[partition] ?? 1) - 1, floor - 1)) {
        const gone = event.expiryMs !== 0 && event.expiryMs <= naive.nowMs;
        assert(!event.matched || event.fate !== 'open' || gone, 'the floor is above an open event');
      }
    }
  }

  #event({ partition, position }: Entry): NaiveEvent {
    return this.naive.event(partition, position);
  }
}

const fresh = (partition: number, floor: number): Stored => ({
  partition,
  floor,
  settled: [],
  state: new Uint8Array(0),
});

const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

export function recordOf(event: Pick<NaiveEvent, 'key' | 'ingressMs' | 'expiryMs'>): RecordView {
  return decodeRecord(
    encodeRecord(
      {
        tenant: 't',
        topic: 'a',
        principal: 'p',
        originSite: 's',
        destinations: [],
        key: event.key,
        ingressTimeUs: event.ingressMs * 1000,
        expiryMs: event.expiryMs,
        hops: [],
      },
      EVENT,
    ),
  );
}

const EVENT = encodeEvent({ id: '1', source: '/t', type: 't' });
export const EVENT_BYTES = EVENT.length;
