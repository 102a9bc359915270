import { describe, expect, it } from '@jest/globals';
import type { RecordView } from '@eventmesh/event';
import { DeliveryEngine, checkSubscription, type EngineOptions } from './index.ts';
import { recordOf } from './test/rig.ts';

const record = (key: string): RecordView => recordOf({ key, ingressMs: 0, expiryMs: 0 });

/** An ordered subscription with one partition, whose log is a list of keys. */
function setUp(more: Partial<EngineOptions> & { inFlightMax?: number } = {}) {
  const clock = { now: 1000 };
  const { inFlightMax = 100, ...options } = more;
  const retry = { kind: 'list', delaysMs: [500], attemptsMax: 9 } as const;
  const engine = new DeliveryEngine({
    spec: checkSubscription({ name: 's', topicFilters: ['#'], ordered: true, inFlightMax, retry }),
    epoch: 1,
    now: () => clock.now,
    random: () => 0,
    mayReceive: () => true,
    heldMax: 8,
    heldBytesMax: 1_000_000,
    parkedKeysMax: 10,
    cursorBytesMax: 1_000_000,
    retryWindow: 16,
    ...options,
  });
  engine.openPartition(0, 1);
  const log: string[] = [];
  const ids = new Map<number, number>();
  /** Reads what there is room for, hands out, and answers what went out, as `consumer position`. */
  const turn = (): string[] => {
    const got: string[] = [];
    engine.tick();
    for (let more = true; more;) {
      more = false;
      const { next } = engine.partition(0);
      const key = log[next - 1];
      if (key !== undefined && !engine.saturated) {
        engine.offer(0, next, record(key));
        more = true;
      }
      const from = engine.wantedFrom(0);
      if (from !== undefined && !engine.fullAgain) {
        engine.offerAgain(0, from, from, [[from, record(log[from - 1] ?? '')]], () => true);
        more = true;
      }
      if (more) continue;
      for (const { consumer, deliveries } of engine.pump()) {
        for (const { id, entry } of deliveries) {
          ids.set(entry.position, id);
          got.push(`${consumer} ${entry.position}`);
          more = true;
        }
      }
      more ||= !engine.saturated && engine.partition(0).next <= log.length;
    }
    return got;
  };
  const accept = (by: string, ...positions: number[]) =>
    engine.settle(
      by,
      positions.map((position) => ids.get(position) ?? 0),
      { kind: 'accept' },
    );
  const release = (by: string, position: number) =>
    engine.settle(by, [ids.get(position) ?? 0], { kind: 'release' });
  return { engine, clock, log, turn, accept, release };
}

describe('parking', () => {
  it('leaves in memory what an event behind it was settled before', () => {
    const { engine, clock, log, turn, accept, release } = setUp();
    engine.attach('c');
    engine.credit('c', 100);
    log.push('x', 'x', 'x', 'x');
    expect(turn()).toHaveLength(4);
    // The third is done when the first fails; the second and fourth follow it anew.
    accept('c', 3);
    release('c', 1);
    log.push(...Array.from({ length: 20 }, () => 'x'), 'y');
    expect(turn()).toEqual(['c 25']);
    expect(engine.parkedEvents).toBe(22);
    const cursor = engine.takeCursors(true)[0];
    expect(cursor).toMatchObject({ floor: 1, settled: [{ from: 3, to: 24 }] });
    expect(cursor?.state.parked).toMatchObject([{ from: 4 }]);
    clock.now += 500;
    expect(turn()).toEqual(['c 1']);
    accept('c', 1);
    const got = turn();
    for (let at = 0; at < got.length; at++) {
      accept('c', Number(got[at]?.slice(2)));
      got.push(...turn());
    }
    expect(got).toEqual(
      [2, ...Array.from({ length: 21 }, (_, at) => at + 4)].map((at) => `c ${at}`),
    );
    expect(engine.counters).toMatchObject({ delivered: 24, considered: 25 });
  });

  it('drops nothing that lies in a queue to go out next', () => {
    const { engine, log, turn, accept } = setUp({ inFlightMax: 4, heldMax: 7 });
    for (const name of ['a', 'b', 'c']) engine.attach(name);
    engine.credit('b', 100);
    log.push('x', 'x', 'x', 'x', 'x');
    // Two of four are the share of b; the third one waits for it when c comes across it.
    expect(turn()).toEqual(['b 1', 'b 2']);
    engine.credit('c', 1);
    log.push('y');
    expect(turn()).toEqual(['c 6']);
    // It is a's turn, who finds nothing; then b takes the third, and the fourth comes next.
    accept('b', 1);
    engine.credit('a', 100);
    log.push('x', 'x');
    const got = ['b 2', ...turn()];
    for (let at = 0; at < got.length; at++) {
      const [by = '', position] = got[at]?.split(' ') ?? [];
      accept(by, Number(position));
      got.push(...turn());
    }
    // In order, each once, wherever the key goes when it is free.
    expect(got.map((each) => each.slice(2))).toEqual(['2', '3', '4', '5', '7', '8']);
    accept('c', 6);
    expect(engine.held).toBe(0);
  });

  it('says on the second delivery that it is one, though the event was dropped in between', () => {
    const { engine, clock, log, turn, accept, release } = setUp();
    engine.attach('c');
    engine.credit('c', 100);
    log.push('x', 'x', 'x');
    turn();
    release('c', 1);
    log.push(...Array.from({ length: 20 }, () => 'x'));
    turn();
    expect(engine.find(0, 2)).toBeUndefined();
    clock.now += 500;
    turn();
    accept('c', 1);
    turn();
    expect([2, 3].map((at) => engine.find(0, at)?.attempts)).toEqual([2, 2]);
  });

  it('names who holds up an event that was dropped, and nothing of what was not', () => {
    const { engine, log, turn } = setUp();
    engine.attach('slow');
    engine.credit('slow', 1);
    log.push('x', 'x');
    turn();
    engine.attach('quick');
    engine.credit('quick', 100);
    log.push(...Array.from({ length: 20 }, () => 'x'), 'y');
    expect(turn()).toEqual(['quick 23']);
    const stuck = { key: 'x', consumer: 'slow', waiting: 21, parked: 21 };
    expect(engine.parkedAt(0, 20, record('x'))).toMatchObject(stuck);
    expect(engine.parkedAt(0, 1, record('x'))).toBeUndefined();
    expect(engine.parkedAt(0, 24, record('x'))).toBeUndefined();
    expect(engine.parkedAt(0, 20, record('y'))).toBeUndefined();
    expect(engine.stuckKeys(5)).toMatchObject([stuck]);
    expect(engine.held).toBe(23);
  });

  it('is not done while a consumer lacks nothing but credit', () => {
    const { engine, log, turn } = setUp();
    engine.attach('c');
    engine.credit('c', 1);
    log.push(...Array.from({ length: 20 }, () => 'x'));
    expect(turn()).toEqual(['c 1']);
    expect([engine.parkedEvents, engine.saturated, engine.stopped]).toEqual([0, true, undefined]);
  });

  it('says that reading has stopped when all in memory is out', () => {
    const { engine, log, turn } = setUp();
    engine.attach('c');
    engine.credit('c', 100);
    log.push(...Array.from({ length: 9 }, (_, at) => `k${at}`));
    expect(turn()).toHaveLength(8);
    expect([engine.saturated, engine.stopped]).toEqual([true, 'memory']);
  });
});

describe('a cursor as large as it may be', () => {
  it('stops reading until some of what it tells apart is settled', () => {
    const { engine, log, turn, accept } = setUp({ heldMax: 1000, cursorBytesMax: 100 });
    engine.attach('c');
    engine.credit('c', 1000);
    log.push(...Array.from({ length: 100 }, (_, at) => `k${at}`));
    turn();
    expect(engine.saturated).toBe(false);
    // Every second one is settled: two bytes for each.
    accept('c', ...Array.from({ length: 50 }, (_, at) => at * 2 + 2));
    engine.takeCursors(true);
    expect([engine.saturated, engine.stopped]).toEqual([true, 'cursor']);
    log.push('late');
    expect(turn()).toEqual([]);
    accept('c', ...Array.from({ length: 10 }, (_, at) => at * 2 + 1));
    expect(engine.takeCursors(true)[0]?.settled).toHaveLength(40);
    expect(engine.stopped).toBeUndefined();
    expect(turn()).toEqual(['c 101']);
  });
});
