import { describe, expect, it, jest } from '@jest/globals';
import { RightOfWay } from './right-of-way.ts';

/** A clock whose timers end at fractions of a millisecond. */
class ExactTime {
  nowMs = 0;
  readonly #due = new Map<number, { readonly atMs: number; readonly run: () => void }>();
  #last = 0;

  constructor() {
    const set = (run: () => void, ms: number) => {
      this.#due.set(++this.#last, { atMs: this.nowMs + ms, run });
      return this.#last;
    };
    jest.spyOn(globalThis, 'setTimeout').mockImplementation(set as never);
    jest.spyOn(globalThis, 'clearTimeout').mockImplementation((id) => {
      this.#due.delete(Number(id));
    });
  }

  advance(ms: number): void {
    this.nowMs += ms;
    for (const [id, { atMs, run }] of this.#due) {
      if (atMs > this.nowMs) continue;
      this.#due.delete(id);
      run();
    }
  }

  restore(): void {
    jest.restoreAllMocks();
  }
}

/** A reader asks again after each wait, as the store does, until it may go on. */
async function pass(way: RightOfWay): Promise<void> {
  for (let wait = way.pass(); wait !== undefined; wait = way.pass()) await wait;
}

/** A lone append, and the rest that readers have after it. */
async function liveAppend(way: RightOfWay): Promise<void> {
  way.begin();
  way.end();
  await way.pass();
}

describe('RightOfWay', () => {
  it('lets readers pass at once while there are no appends', () => {
    const way = new RightOfWay(() => 0);
    expect(way.pass()).toBeUndefined();
  });

  it('lets readers rest more than they read while lone appends keep coming', async () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    await liveAppend(way);
    expect(way.pass()).toBeUndefined();
    now = 100.4;
    expect(way.pass()).toBeUndefined();
    now = 100.6;
    const rest = way.pass();
    expect(rest).toBeInstanceOf(Promise);
    expect(way.pass()).toBe(rest);
    now = 102;
    await rest;
    expect(way.pass()).toBeUndefined();
    now = 103;
    expect(way.pass()).toBeInstanceOf(Promise);
  });

  it('asks for no rest from readers that have had nothing to do', async () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    await liveAppend(way);
    for (; now < 120; now += 1.5) expect(way.pass()).toBeUndefined();
  });

  it('lets readers read on when no lone append has come for a while', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    way.end();
    for (now = 151; now < 160; now += 0.5) expect(way.pass()).toBeUndefined();
  });

  it('lets readers read on while one commit follows the other', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    way.end(true);
    way.begin();
    for (; now < 110; now += 0.5) expect(way.pass()).toBeUndefined();
  });

  it('holds every reader until the commit ends, and what waits for the commit comes first', async () => {
    const way = new RightOfWay(() => 0);
    const order: string[] = [];
    way.begin();
    const readers = ['one', 'two'].map(async (name) => {
      await pass(way);
      order.push(name);
    });
    way.end();
    await Promise.resolve().then(() => order.push('receipt'));
    await Promise.all(readers);
    expect(order).toEqual(['receipt', 'one', 'two']);
  });

  it('lets readers rest after a commit, however many turns the loop makes meanwhile', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate'] });
    try {
      const way = new RightOfWay();
      way.begin();
      let passed = false;
      const reader = pass(way).then(() => {
        passed = true;
      });
      way.end();
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(passed).toBe(false);
      jest.advanceTimersByTime(1);
      await reader;
    } finally {
      jest.useRealTimers();
    }
  });

  it('lets readers have a sixth of the time, however close lone appends come', async () => {
    // Fake timers of jest fall on whole milliseconds, where a rest that is begun anew ends all the same.
    const time = new ExactTime();
    try {
      const way = new RightOfWay(() => time.nowMs);
      let waits = false;
      let reads = 0;
      // Steps of 0.1 ms: a commit takes six of them, the next append comes one after it.
      for (let step = 0; step < 1000; step++) {
        if (step % 7 === 0) way.begin();
        if (step % 7 === 6) way.end();
        const wait: Promise<void> | undefined = waits ? undefined : way.pass();
        if (!waits && wait === undefined) reads++;
        waits ||= wait !== undefined;
        void wait?.then(() => {
          waits = false;
        });
        time.advance(0.1);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(reads).toBeGreaterThan(1000 / 6);
    } finally {
      time.restore();
    }
  });

  it('asks for no rest after a commit that the next one follows at once', async () => {
    const way = new RightOfWay(() => 0);
    way.begin();
    let passed = false;
    const reader = pass(way).then(() => {
      passed = true;
    });
    way.end(true);
    await new Promise((resolve) => setImmediate(resolve));
    await reader;
    expect(passed).toBe(true);
  });

  it('lets a reader go on for as long as it has waited and rested, through the next commits', async () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    const waited = pass(way);
    now = 103;
    way.end();
    await waited;
    way.begin();
    expect(way.pass()).toBeUndefined();
    now = 106.9;
    expect(way.pass()).toBeUndefined();
    now = 107;
    expect(way.pass()).toBeInstanceOf(Promise);
    way.end();
  });

  it('gives nobody time who has not waited', () => {
    let now = 100;
    const way = new RightOfWay(() => now);
    way.begin();
    now = 104;
    way.end();
    way.begin();
    expect(way.pass()).toBeInstanceOf(Promise);
    way.end();
  });

  it('holds nobody while one commit follows the other, and again after a pause', () => {
    const way = new RightOfWay(() => 0);
    way.begin();
    way.end(true);
    way.begin();
    expect(way.pass()).toBeUndefined();
    way.end(false);
    way.begin();
    expect(way.pass()).toBeInstanceOf(Promise);
    way.end();
  });

  it('lets a reader go on when the disk hangs', async () => {
    const way = new RightOfWay();
    way.begin();
    await pass(way);
    expect(way.pass()).toBeUndefined();
  });
});
