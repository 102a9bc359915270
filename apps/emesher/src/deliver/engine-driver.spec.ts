import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Entry } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { TURN_EVENTS } from './engine-driver.ts';
import { Driven, idle, nextTurn } from './test/driven.ts';

// Turns are real, time stands still until it is moved.
beforeEach(() => void jest.useFakeTimers({ now: 1_000_000, doNotFake: ['setImmediate'] }));
afterEach(() => void jest.useRealTimers());

/** Moves the time, and lets what has fallen due happen. */
async function pass(driven: Driven, ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await idle(driven);
}

const accept = { kind: 'accept' } as const;
const reject = { kind: 'reject', reason: 'no' } as const;

describe('a turn', () => {
  it.each<[string, (driven: Driven) => void]>([
    ['100 offers', (driven) => driven.offer(100)],
    ['100 wakes', (driven) => repeat(100, () => driven.driver.wake())],
    ['100 credits', (driven) => repeat(100, () => driven.driver.credit('a', 1, 0))],
    ['100 settles', (driven) => repeat(100, () => driven.settle('a', 1, accept))],
    ['2 drains', (driven) => repeat(2, () => void driven.driver.drain('a'))],
    [
      'some of each',
      (driven) => {
        driven.offer(3).driver.credit('a', 3, 0);
        driven.settle('a', 1, accept);
        void driven.driver.drain('a');
      },
    ],
  ])('is one for %s', async (_, act) => {
    const driven = new Driven().attach('a').offer(100);
    driven.driver.credit('a', 50, 0);
    await idle(driven);
    const before = driven.turns;
    act(driven);
    expect(driven.turns).toBe(before);
    await idle(driven);
    expect(driven.turns - before).toBe(1);
  });

  it('hands all that has come to a consumer in one piece', async () => {
    const driven = new Driven().attach('a');
    driven.driver.credit('a', 100, 0);
    driven.offer(40).offer(2);
    await idle(driven);
    expect(driven.told).toEqual(['a gets 42', 'turn']);
  });

  it.each([
    [1, [1]],
    [TURN_EVENTS - 1, [127]],
    [TURN_EVENTS, [128, 0]],
    [TURN_EVENTS + 1, [128, 1]],
    [300, [128, 128, 44]],
  ])('of %i events hands out %j, others between them', async (events, pieces) => {
    const driven = new Driven().attach('a').offer(events);
    driven.driver.credit('a', 1000, 0);
    for (let turn = 0; turn < pieces.length; turn++) {
      await nextTurn();
      driven.told.push('others');
    }
    const told = pieces.flatMap((n) => [...(n > 0 ? [`a gets ${n}`] : []), 'turn', 'others']);
    expect(driven.told).toEqual(told);
    await idle(driven);
    expect(driven.told).toEqual(told);
  });

  it('counts for all consumers together', async () => {
    const driven = new Driven().attach('a', 'b').offer(200);
    driven.driver.credit('a', 1000, 0);
    driven.driver.credit('b', 1000, 0);
    await idle(driven);
    expect(driven.told).toEqual([
      'a gets 64',
      'b gets 64',
      'turn',
      'a gets 36',
      'b gets 36',
      'turn',
    ]);
  });

  it('begins with what gives credit', async () => {
    const beforeTurn = () => driven.engine.credit('a', 2);
    const driven = new Driven({}, { beforeTurn }).attach('a').offer(5);
    await idle(driven);
    expect(driven.told).toEqual(['a gets 2', 'turn']);
  });
});

describe('a consumer that leaves', () => {
  it('leaves what it has to the others', async () => {
    const driven = new Driven().attach('a', 'b').offer(3);
    driven.driver.credit('a', 3, 0);
    await idle(driven);
    driven.driver.credit('b', 3, 0);
    await idle(driven);
    expect(driven.positions('b')).toEqual([]);
    driven.detach('a');
    await idle(driven);
    expect(driven.positions('b')).toEqual([1, 2, 3]);
  });
});

describe('what is due', () => {
  const retry = { kind: 'linear', delayMs: 5000, attemptsMax: 2 } as const;

  it.each<[string, number, (driven: Driven) => void]>([
    ['an event that failed', 5000, (driven) => driven.settle('a', 1, { kind: 'release' })],
    [
      'an event that was put off',
      700,
      (driven) => driven.settle('a', 1, { kind: 'release', delayMs: 700 }),
    ],
    ['a lease that ran out, and the delay behind it', 30_000 + 5000, () => undefined],
  ])('comes by itself: %s', async (_, ms, act) => {
    const driven = new Driven({ retry, ackTimeoutMs: 30_000 }).attach('a').offer(1);
    driven.driver.credit('a', 2, 0);
    await idle(driven);
    act(driven);
    await idle(driven);
    driven.told.length = 0;
    // The lease first, then what has come of it.
    await pass(driven, Math.min(ms - 1, 30_000));
    await pass(driven, ms - 1 - Math.min(ms - 1, 30_000));
    expect(driven.told.filter((word) => word !== 'turn')).toEqual([]);
    await pass(driven, 1);
    expect(driven.told).toContain('a gets 1');
  });

  it('is asked for again while nobody can tell whether an event may go out', async () => {
    const driven = new Driven().attach('a').offer(1);
    driven.rightsKnown = false;
    driven.driver.credit('a', 1, 0);
    await idle(driven);
    await pass(driven, 500);
    await pass(driven, 499);
    driven.rightsKnown = true;
    expect(driven.told).toEqual(['turn', 'turn']);
    await pass(driven, 1);
    expect(driven.told).toEqual(['turn', 'turn', 'a gets 1', 'turn']);
  });

  it.each([
    [Infinity, 0],
    [40, 40],
    // Once a turn is over, the next one is never sooner than this.
    [0, 1],
    [-5, 1],
  ])('may be known by others: in %f ms', async (waitMs, ms) => {
    const driven = new Driven({}, { waitMs: () => waitMs }).attach('a');
    driven.driver.wake();
    await idle(driven);
    expect(driven.turns).toBe(1);
    expect(jest.getTimerCount()).toBe(ms === 0 ? 0 : 1);
    await pass(driven, Math.max(0, ms - 1));
    expect(driven.turns).toBe(1);
    await pass(driven, 1);
    expect(driven.turns).toBe(ms === 0 ? 1 : 2);
  });

  it('is a letter that could not be written', async () => {
    const buried: Entry[] = [];
    const bury = (dead: readonly Entry[]) => {
      buried.push(...dead);
      if (buried.length === 1) for (const entry of dead) driven.engine.revive(entry, 1000);
      else driven.drop(dead);
    };
    const driven = new Driven({}, { bury }).attach('a').offer(1);
    driven.driver.credit('a', 1, 0);
    await idle(driven);
    driven.settle('a', 1, reject);
    await idle(driven);
    await pass(driven, 999);
    expect(buried).toHaveLength(1);
    await pass(driven, 1);
    expect(buried).toHaveLength(2);
    expect(driven.engine.held).toBe(0);
  });
});

describe('an event that is given up', () => {
  it('is told as settled, then buried, before the settle answers', async () => {
    const driven = new Driven().attach('a').offer(2);
    driven.driver.credit('a', 2, 0);
    await idle(driven);
    driven.told.length = 0;
    driven.settle('a', 2, reject);
    expect(driven.told).toEqual(['reject 2', 'bury 2']);
    expect(driven.engine.counters.dropped).toBe(2);
  });

  it.each<[string, (driven: Driven) => Promise<void>]>([
    ['rejected', (driven) => Promise.resolve(driven.settle('a', 1, reject))],
    ['out too long', (driven) => pass(driven, 30_000)],
  ])('lets its key go on once it is buried: %s', async (_, act) => {
    const retry = { kind: 'none' } as const;
    const driven = new Driven({ ordered: true, retry, ackTimeoutMs: 30_000 }).attach('a', 'b');
    driven.offer(2, 'key');
    driven.driver.credit('a', 1, 0);
    await idle(driven);
    expect(driven.positions('a')).toEqual([1]);
    driven.driver.credit('b', 1, 0);
    await idle(driven);
    await act(driven);
    await idle(driven);
    expect(driven.positions('b')).toEqual([2]);
  });
});

describe('a drain', () => {
  /** Whether it has ended, looked at after each turn. */
  async function drained(driven: Driven, turns: number): Promise<boolean[]> {
    let over = false;
    void driven.driver.drain('a').then(() => (over = true));
    const seen = [];
    for (let turn = 0; turn < turns; turn++) {
      await nextTurn();
      seen.push(over);
    }
    return seen;
  }

  it.each([
    ['there is nothing', 0, 10, [true]],
    ['less than the credit', 5, 10, [true]],
    ['more than the credit', 20, 10, [true]],
    ['no credit', 20, 0, [true]],
    ['more than fits a turn', 300, 1000, [false, false, true]],
    ['just as much as fits a turn', 128, 1000, [false, true]],
    ['just as much as fits a turn and the credit', 128, 128, [true]],
  ])('ends when there is no more for the consumer: %s', async (_, events, credit, ends) => {
    const driven = new Driven().attach('a').offer(events);
    driven.driver.credit('a', credit, 0);
    expect(await drained(driven, ends.length)).toEqual(ends);
    expect(driven.positions('a')).toHaveLength(Math.min(events, credit));
  });

  it("takes back the credit that is left, and no other consumer's", async () => {
    const driven = new Driven().attach('a', 'b');
    driven.driver.credit('a', 10, 0);
    driven.driver.credit('b', 3, 0);
    await driven.driver.drain('a');
    driven.offer(5);
    await idle(driven);
    expect([driven.positions('a'), driven.positions('b')]).toEqual([[], [1, 2, 3]]);
    driven.driver.credit('a', 1, 0);
    await idle(driven);
    expect(driven.positions('a')).toEqual([4]);
  });

  it.each<[string, (driven: Driven) => void]>([
    ['the consumer leaves', (driven) => driven.detach('a')],
    ['the driver is closed', (driven) => driven.driver.close()],
  ])('ends when %s', async (_, act) => {
    const driven = new Driven().attach('a').offer(500);
    driven.driver.credit('a', 1000, 0);
    const first = driven.driver.drain('a');
    const second = driven.driver.drain('a');
    await nextTurn();
    act(driven);
    await Promise.all([first, second, driven.driver.drain('a')]);
    expect(driven.turns).toBeLessThan(4);
  });
});

describe('a driver that is closed', () => {
  /** Whatever may be asked of it later. */
  async function ask(driven: Driven): Promise<void> {
    driven.driver.credit('a', 1000, 0);
    driven.offer(5).driver.gap({ partition: 0, from: 1, to: 2 });
    driven.driver.detach('b');
    driven.driver.wake();
    await driven.driver.drain('a');
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    expect(jest.getTimerCount()).toBe(0);
    driven.driver.end(new MeshError('Cancelled', 'again'));
  }

  const close = (driven: Driven) => {
    driven.told.length = 0;
    driven.driver.close();
  };

  it.each<[string, (driven: Driven) => Promise<void> | void]>([
    ['before a turn', close],
    [
      'by a consumer that is being served',
      (driven) => {
        driven.onDeliver = () => close(driven);
        return idle(driven);
      },
    ],
    [
      'by the end of a turn',
      (driven) => {
        driven.onTurn = () => close(driven);
        return idle(driven);
      },
    ],
    ['between two turns', (driven) => nextTurn().then(() => close(driven))],
    ['when all is handed out', (driven) => idle(driven).then(() => close(driven))],
    [
      'with retries and letters due',
      async (driven) => {
        await idle(driven);
        driven.settle('a', 10, { kind: 'release' });
        driven.settle('a', 10, { kind: 'release', delayMs: 50 });
        await idle(driven);
        close(driven);
      },
    ],
  ])('calls nothing any more: %s', async (_, act) => {
    const beforeTurn = () => void driven.told.push('begin');
    const driven = new Driven({}, { beforeTurn, waitMs: () => 100 }).attach('a', 'b').offer(300);
    driven.driver.credit('a', 1000, 0);
    driven.driver.credit('b', 1000, 0);
    await act(driven);
    await ask(driven);
    expect(driven.told).toEqual([]);
    expect(driven.driver.consumers).toBe(0);
  });

  it.each([
    [undefined, ['a ends: through', 'b ends: through']],
    [new MeshError('Cancelled', 'stopped'), ['a ends: stopped', 'b ends: stopped']],
  ])('has told its consumers first when it was ended', async (reason, told) => {
    const driven = new Driven().attach('a', 'b').offer(3);
    driven.driver.end(reason);
    driven.driver.end(reason);
    await ask(driven);
    expect(driven.told).toEqual(told);
  });
});

describe('a gap', () => {
  it('is told to all consumers, or to the first one that comes', () => {
    const driven = new Driven();
    driven.driver.gap({ partition: 0, from: 1, to: 3 });
    driven.attach('a', 'b');
    driven.driver.gap({ partition: 0, from: 7, to: 9 });
    expect(driven.told).toEqual(['a misses 1 to 3', 'a misses 7 to 9', 'b misses 7 to 9']);
  });
});

function repeat(times: number, act: () => void): void {
  for (let n = 0; n < times; n++) act();
}
