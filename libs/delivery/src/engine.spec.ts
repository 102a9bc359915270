import { describe, expect, it } from '@jest/globals';
import { decodeRecord, encodeEvent, encodeRecord, type RecordView } from '@eventmesh/event';
import {
  DeliveryEngine,
  checkSubscription,
  type OnEnded,
  type SubscriptionInput,
} from './index.ts';

function record(position: number, more: { key?: string; expiryMs?: number } = {}): RecordView {
  const event = encodeEvent({ id: String(position), source: '/t', type: 't' });
  return decodeRecord(
    encodeRecord(
      {
        tenant: 't',
        topic: 'a/b',
        principal: 'p',
        originSite: 's',
        destinations: [],
        ingressTimeUs: 1,
        hops: [],
        ...more,
      },
      event,
    ),
  );
}

function setUp(
  spec: Partial<SubscriptionInput> = {},
  more: { may?: () => boolean | undefined; onEnded?: OnEnded } = {},
) {
  const clock = { now: 1000 };
  const engine = new DeliveryEngine({
    spec: checkSubscription({ name: 'sub', topicFilters: ['#'], ...spec }),
    epoch: 7,
    now: () => clock.now,
    random: () => 0,
    mayReceive: more.may ?? (() => true),
    heldMax: 100,
    heldBytesMax: 1_000_000,
    parkedKeysMax: 10,
    cursorBytesMax: 1000,
    retryWindow: 16,
    ...(more.onEnded === undefined ? {} : { onEnded: more.onEnded }),
  });
  engine.openPartition(0, 1);
  const pump = (consumer = 'c') =>
    engine
      .pump()
      .filter((assignment) => assignment.consumer === consumer)
      .flatMap(({ deliveries }) => deliveries);
  const offer = (...positions: number[]) => {
    for (const position of positions) engine.offer(0, position, record(position));
    engine.advance(0, positions.at(-1) ?? 0, 0);
  };
  engine.attach('c');
  return { clock, engine, pump, offer };
}

const positions = (deliveries: readonly { entry: { position: number } }[]) =>
  deliveries.map(({ entry }) => entry.position);

describe('credit', () => {
  it('delivers no more than the consumer asked for, in order', () => {
    const { engine, pump, offer } = setUp();
    offer(1, 2, 3);
    expect(pump()).toEqual([]);
    engine.credit('c', 2);
    expect(positions(pump())).toEqual([1, 2]);
    engine.credit('c', 5);
    expect(positions(pump())).toEqual([3]);
  });

  it('counts bytes once they are asked for', () => {
    const { engine, pump, offer } = setUp();
    offer(1, 2, 3);
    engine.credit('c', 10, 1);
    expect(positions(pump())).toEqual([1]);
    expect(pump()).toEqual([]);
  });

  it('never has more in flight than the subscription allows', () => {
    const { engine, pump, offer } = setUp({ inFlightMax: 2 });
    offer(1, 2, 3);
    engine.credit('c', 10);
    const first = pump();
    expect(positions(first)).toEqual([1, 2]);
    engine.settle('c', [first[0]?.id ?? 0], { kind: 'accept' });
    expect(positions(pump())).toEqual([3]);
  });

  it('lets competing consumers take turns by their credit', () => {
    const { engine, offer } = setUp();
    engine.attach('d');
    engine.credit('c', 1);
    engine.credit('d', 1);
    offer(1, 2, 3);
    const shares = engine.pump().map(({ consumer, deliveries }) => [consumer, deliveries.length]);
    expect(Object.fromEntries(shares)).toEqual({ c: 1, d: 1 });
  });
});

describe('settling', () => {
  it('refuses an id of another consumer, of an older epoch, or settled before', () => {
    const { engine, pump, offer } = setUp();
    engine.attach('d');
    offer(1);
    engine.credit('c', 1);
    const [delivery] = pump();
    const id = delivery?.id ?? 0;
    expect(engine.settle('d', [id], { kind: 'accept' })).toEqual([id]);
    expect(engine.settle('c', [id - 2 ** 32], { kind: 'accept' })).toEqual([id - 2 ** 32]);
    expect(engine.settle('c', [id], { kind: 'accept' })).toEqual([]);
    expect(engine.settle('c', [id], { kind: 'accept' })).toEqual([id]);
    expect(engine.counters.delivered).toBe(1);
  });

  it('moves the floor only over what is settled, and keeps what is settled above it', () => {
    const { engine, pump, offer } = setUp();
    offer(1, 2, 3, 4);
    engine.credit('c', 4);
    const [, second, , fourth] = pump();
    engine.settle('c', [second?.id ?? 0, fourth?.id ?? 0], { kind: 'accept' });
    const settled = [
      { from: 2, to: 2 },
      { from: 4, to: 4 },
    ];
    expect(engine.takeCursors(true)).toMatchObject([{ partition: 0, floor: 1, settled }]);
    expect(engine.takeCursors(true)).toEqual([]);
  });

  it('delivers a released event after the delay asked for, without counting a failure', () => {
    const { engine, pump, offer, clock } = setUp({ retry: { attemptsMax: 1 } });
    offer(1);
    engine.credit('c', 5);
    const [delivery] = pump();
    engine.settle('c', [delivery?.id ?? 0], { kind: 'release', delayMs: 500 });
    expect(engine.nextDue).toBe(1500);
    clock.now = 1500;
    engine.tick();
    const [again] = pump();
    expect([again?.entry.attempts, again?.entry.failures]).toEqual([2, 0]);
    expect(engine.takeDead()).toEqual([]);
  });

  it('starts the acknowledgement time anew on renew', () => {
    const { engine, pump, offer, clock } = setUp({ ackTimeoutMs: 1000 });
    offer(1);
    engine.credit('c', 5);
    const [delivery] = pump();
    clock.now = 1900;
    engine.settle('c', [delivery?.id ?? 0], { kind: 'renew' });
    clock.now = 2500;
    engine.tick();
    expect(engine.inFlight).toBe(1);
    clock.now = 2900;
    engine.tick();
    expect(engine.inFlight).toBe(0);
  });
});

describe('failures', () => {
  it('backs off exponentially, then dead-letters, and settles only when the letter is kept', () => {
    const { engine, pump, offer, clock } = setUp({
      retry: { kind: 'exponential', delayMs: 100, delayMaxMs: 150, attemptsMax: 3 },
      ackTimeoutMs: 1000,
    });
    offer(1);
    engine.credit('c', 10);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect(positions(pump())).toEqual([1]);
      clock.now += 1000;
      engine.tick();
      const due = engine.nextDue;
      if (due === undefined) break;
      waits.push(due - clock.now);
      clock.now = due;
      engine.tick();
    }
    expect(waits).toEqual([100, 150]);
    const [dead] = engine.takeDead();
    expect(dead?.failures).toBe(3);
    expect([engine.held, engine.partition(0).floor]).toEqual([1, 1]);
    if (dead !== undefined) engine.retire(dead, 'dead-lettered');
    expect([engine.held, engine.partition(0).floor, engine.counters.deadLettered]).toEqual([
      0, 2, 1,
    ]);
  });

  it('does not blame the event when its consumer disconnects', () => {
    const { engine, offer } = setUp({ retry: { attemptsMax: 1 } });
    offer(1);
    engine.credit('c', 1);
    engine.pump();
    engine.detach('c');
    engine.attach('d');
    engine.credit('d', 1);
    const [assignment] = engine.pump();
    expect(assignment?.deliveries[0]?.entry.failures).toBe(0);
  });

  it('remembers failures over a restart', () => {
    const { engine, pump, offer, clock } = setUp();
    offer(1);
    engine.credit('c', 1);
    pump();
    clock.now += 30_000;
    engine.tick();
    const next = new DeliveryEngine({
      spec: checkSubscription({ name: 'sub', topicFilters: ['#'] }),
      epoch: 8,
      now: () => clock.now,
      random: () => 0,
      mayReceive: () => true,
      heldMax: 10,
      heldBytesMax: 1000,
      parkedKeysMax: 10,
      cursorBytesMax: 1000,
      retryWindow: 16,
    });
    const [cursor] = engine.takeCursors(true);
    next.openPartition(0, 1, cursor?.settled, cursor?.state);
    next.attach('c');
    next.credit('c', 1);
    next.offer(0, 1, record(1));
    // Its delay goes on, too.
    clock.now += 999;
    next.tick();
    expect(next.pump()).toEqual([]);
    clock.now += 1;
    next.tick();
    expect(next.pump()[0]?.deliveries[0]?.entry.failures).toBe(1);
    expect(next.counters.considered).toBe(1);
  });
});

describe('expiry and rights', () => {
  it('settles an expired event without delivering it', () => {
    const { engine, pump, clock } = setUp();
    engine.offer(0, 1, record(1, { expiryMs: 1500 }));
    engine.offer(0, 2, record(2));
    clock.now = 1500;
    engine.credit('c', 5);
    expect(positions(pump())).toEqual([2]);
    expect([engine.counters.expired, engine.partition(0).floor]).toEqual([1, 2]);
  });

  it('drops and counts what the owner may not receive any more', () => {
    const { engine, pump, offer } = setUp({}, { may: () => false });
    offer(1);
    engine.credit('c', 5);
    expect(pump()).toEqual([]);
    expect(engine.counters.dropped).toBe(1);
  });

  it('holds while nobody can tell, and loses nothing', () => {
    let may: boolean | undefined = undefined;
    const { engine, pump, offer } = setUp({}, { may: () => may });
    offer(1, 2);
    engine.credit('c', 5);
    expect(pump()).toEqual([]);
    expect(engine.blocked).toBe(true);
    may = true;
    expect(positions(pump())).toEqual([1, 2]);
  });

  it('asks no more once nobody has credit, since there is nothing to ask for', () => {
    const { engine, pump, offer } = setUp({}, { may: () => undefined });
    offer(1);
    engine.credit('c', 5);
    pump();
    engine.withdraw('c');
    pump();
    expect(engine.blocked).toBe(false);
  });
});

describe('what is held', () => {
  it('is found wherever it stands, and not once it is settled', () => {
    const { engine, pump, clock } = setUp({ ordered: true, retry: { attemptsMax: 2 } });
    const states = () => [1, 2, 3, 4, 5].map((position) => engine.find(0, position)?.state);
    for (const position of [1, 2, 3, 4, 5]) {
      engine.offer(0, position, record(position, position < 4 ? { key: 'x' } : {}));
    }
    expect(states()).toEqual(['ready', 'ready', 'ready', 'ready', 'ready']);
    engine.credit('c', 5);
    const [first, , , fourth, fifth] = pump();
    engine.settle('c', [first?.id ?? 0], { kind: 'release', delayMs: 70 });
    engine.settle('c', [fourth?.id ?? 0], { kind: 'reject', reason: 'no' });
    expect(states()).toEqual(['later', 'ready', 'ready', 'dead', 'out']);
    expect(engine.find(0, 1)?.dueMs).toBe(clock.now + 70);
    expect([engine.find(0, 5)?.dueMs, engine.find(0, 5)?.consumer?.name]).toEqual([
      clock.now + 30_000,
      'c',
    ]);
    const [dead] = engine.takeDead();
    expect(states()).toEqual(['later', 'ready', 'ready', 'dead', 'out']);
    if (dead !== undefined) engine.retire(dead, 'dead-lettered');
    engine.settle('c', [fifth?.id ?? 0], { kind: 'accept' });
    expect(states()).toEqual(['later', 'ready', 'ready', undefined, undefined]);
    expect(engine.find(1, 1)).toBeUndefined();
  });
});

describe('the books', () => {
  it('do not count again after a restart what was counted before', () => {
    const { engine, pump, offer } = setUp();
    offer(1, 2, 3);
    engine.advance(0, 6, 3);
    engine.credit('c', 3);
    const [, second] = pump();
    engine.settle('c', [second?.id ?? 0], { kind: 'accept' });
    const [cursor] = engine.takeCursors(true);
    expect(cursor).toMatchObject({
      partition: 0,
      floor: 1,
      settled: [
        { from: 2, to: 2 },
        { from: 4, to: 6 },
      ],
    });
    const next = new DeliveryEngine({
      spec: checkSubscription({ name: 'sub', topicFilters: ['#'] }),
      epoch: 8,
      now: () => 0,
      random: () => 0,
      mayReceive: () => true,
      heldMax: 10,
      heldBytesMax: 1000,
      parkedKeysMax: 10,
      cursorBytesMax: 1000,
      retryWindow: 16,
    });
    next.openPartition(0, cursor?.floor ?? 0, cursor?.settled, cursor?.state);
    expect(next.partition(0).countedUpTo).toBe(6);
    for (const position of [1, 2, 3]) next.offer(0, position, record(position));
    next.advance(0, 6, 3);
    next.advance(0, 8, 2);
    expect(next.counters).toMatchObject({ considered: 8, delivered: 1, filtered: 5 });
    expect(next.held).toBe(2);
  });
});

describe('events that end without the word of a consumer', () => {
  it('are told, with how: expired unread, expired after a failure, or not allowed any more', () => {
    const told: unknown[] = [];
    let may = true;
    const { clock, engine, pump } = setUp(
      { retry: { kind: 'linear', delayMs: 500 } },
      {
        may: () => may,
        onEnded: ({ position, attempts, reason }, how) =>
          told.push([position, how, attempts, reason]),
      },
    );
    engine.credit('c', 10);
    engine.offer(0, 1, record(1, { expiryMs: 900 }));
    engine.offer(0, 2, record(2, { expiryMs: 1400 }));
    engine.offer(0, 3, record(3));
    const [two, three] = pump();
    engine.settle('c', [two?.id ?? 0], { kind: 'release' });
    engine.settle('c', [three?.id ?? 0], { kind: 'accept' });
    clock.now = 1500;
    engine.tick();
    pump();
    may = false;
    engine.offer(0, 4, record(4));
    pump();
    expect(told).toEqual([
      [1, 'expired', 0, ''],
      [2, 'expired', 1, 'released by the consumer'],
      [4, 'forbidden', 0, ''],
    ]);
    expect(engine.counters).toMatchObject({ expired: 2, dropped: 1, delivered: 1 });
  });

  it('are not told of those whose dead letters are to be written', () => {
    const told: unknown[] = [];
    const { engine } = setUp(
      { deadLetterExpired: true },
      { onEnded: (entry) => told.push(entry.position) },
    );
    engine.offer(0, 1, record(1, { expiryMs: 900 }));
    expect(engine.takeDead().map(({ position }) => position)).toEqual([1]);
    expect(told).toEqual([]);
  });
});
