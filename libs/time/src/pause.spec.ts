import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { Clock } from './clock.ts';
import { pause } from './pause.ts';

/** Timers that go off when a test says so. */
function timers() {
  const running = new Map<() => void, number>();
  const clock: Pick<Clock, 'setTimer'> = {
    setTimer(delayMs, run) {
      running.set(run, delayMs);
      return () => void running.delete(run);
    },
  };
  const goOff = () => {
    for (const run of [...running.keys()]) run();
  };
  return { clock, running, goOff };
}

/** Whether it has resolved by the time that all that was due is done. */
async function isOver(pausing: Promise<void>): Promise<boolean> {
  let over = false;
  void pausing.then(() => (over = true));
  await new Promise((resolve) => setImmediate(resolve));
  return over;
}

describe('pause', () => {
  it.each([
    ['without a signal', undefined],
    ['with a signal', new AbortController().signal],
  ])('ends when its time is over, %s', async (_, signal) => {
    const { clock, running, goOff } = timers();
    const pausing = pause(70, signal, clock);
    expect([...running.values()]).toEqual([70]);
    expect(await isOver(pausing)).toBe(false);
    goOff();
    expect(await isOver(pausing)).toBe(true);
  });

  it('ends at once when the signal aborts', async () => {
    const stop = new AbortController();
    const { clock, running } = timers();
    const pausing = pause(70, stop.signal, clock);
    expect(await isOver(pausing)).toBe(false);
    stop.abort();
    expect(await isOver(pausing)).toBe(true);
    expect(running.size).toBe(0);
  });

  it('ends at once, and sets no timer, when the signal has aborted', async () => {
    const { clock, running } = timers();
    const pausing = pause(70, AbortSignal.abort(), clock);
    expect(running.size).toBe(0);
    expect(await isOver(pausing)).toBe(true);
  });

  it('leaves no timer and no listener behind, however it ends', async () => {
    const stop = new AbortController();
    const { clock, running, goOff } = timers();
    for (let n = 0; n < 100; n++) {
      const pausing = pause(70, stop.signal, clock);
      expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
      goOff();
      await pausing;
    }
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
    expect(running.size).toBe(0);
  });

  it('takes the time of the system by default', async () => {
    const stop = new AbortController();
    await pause(1);
    const pausing = pause(2 ** 31 - 1, stop.signal);
    stop.abort();
    await pausing;
  });
});
