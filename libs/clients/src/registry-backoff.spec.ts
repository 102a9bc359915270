import { describe, expect, it } from '@jest/globals';
import { RegistryBackoff, pauseFor } from './registry-backoff.ts';

describe('RegistryBackoff', () => {
  it('doubles up to its cap, each wait in the upper half, and starts anew after success', () => {
    const backoff = new RegistryBackoff(100, 1000);
    for (const ceiling of [100, 200, 400, 800, 1000, 1000]) {
      const wait = backoff.nextMs();
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
    }
    backoff.reset();
    expect(backoff.nextMs()).toBeLessThanOrEqual(100);
  });
});

describe('pauseFor', () => {
  it('ends at once when it is or gets aborted', async () => {
    const stop = new AbortController();
    const waiting = pauseFor(60_000, stop.signal);
    stop.abort();
    await waiting;
    await pauseFor(60_000, stop.signal);
  });
});
