import { describe, expect, it } from '@jest/globals';
import { unavailable } from '@eventmesh/errors';
import { Backoff, keepLeaseAlive, leaseNotFound } from '@eventmesh/kv-api';
import { fakeClock } from './fake-clock.ts';

describe('keepLeaseAlive', () => {
  function start(renew: (attempt: number) => Promise<void>) {
    const clock = fakeClock(0);
    const renewedAt: number[] = [];
    const lost: string[] = [];
    let ends = 0;
    const lease = {
      id: 'l',
      ttlMs: 9000,
      renew: () => {
        renewedAt.push(clock.now());
        return renew(renewedAt.length);
      },
    };
    const onLost = (reason: Error) => lost.push(`${clock.now()} ${reason.message}`);
    const keepAlive = keepLeaseAlive(lease, clock, onLost, () => (ends += 1));
    return { clock, renewedAt, lost, keepAlive, ends: () => ends };
  }

  it('renews every third of the time, and no more after it was stopped', async () => {
    const { clock, renewedAt, lost, keepAlive, ends } = start(() => Promise.resolve());
    await clock.advance(10_000);
    expect(renewedAt).toEqual([3000, 6000, 9000]);
    keepAlive.stop();
    keepAlive.stop();
    await clock.advance(100_000);
    expect([renewedAt.length, lost, ends(), clock.pending]).toEqual([3, [], 1, 0]);
  });

  it('repeats a failed renewal sooner and lives on when one comes through in time', async () => {
    const { clock, renewedAt, lost } = start((attempt) =>
      attempt < 4 ? Promise.reject(unavailable('away')) : Promise.resolve(),
    );
    await clock.advance(9000);
    expect(renewedAt).toEqual([3000, 3900, 4800, 5700, 8700]);
    expect(lost).toEqual([]);
  });

  it('is lost when the whole time passed without a renewal that came through', async () => {
    const { clock, lost, ends } = start(() => Promise.reject(unavailable('away')));
    await clock.advance(8999);
    expect(lost).toEqual([]);
    await clock.advance(60_000);
    expect(lost).toEqual(['9000 lease l was not renewed within 9000 ms']);
    expect([ends(), clock.pending]).toEqual([1, 0]);
  });

  it('counts from the start of a renewal, so that one that hangs cannot stretch the time', async () => {
    const { clock, lost } = start(() => new Promise(() => undefined));
    await clock.advance(9000);
    expect(lost).toHaveLength(1);
  });

  it('is lost at once when the store says that the lease has ended', async () => {
    const { clock, lost } = start(() => Promise.reject(leaseNotFound('l')));
    await clock.advance(3000);
    expect(lost).toHaveLength(1);
    expect(lost[0]).toMatch(/^3000 lease l has ended/);
  });
});

describe('Backoff', () => {
  it('doubles up to its cap, spreads over the upper half and starts anew after success', () => {
    const low = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 0 });
    const high = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 0.999 });
    const waits = (backoff: Backoff) => [1, 2, 3, 4, 5, 6].map(() => backoff.nextMs());
    expect(waits(low)).toEqual([50, 100, 200, 400, 500, 500]);
    expect(waits(high)).toEqual([100, 200, 400, 800, 1000, 1000]);
    high.reset();
    expect(high.nextMs()).toBe(100);
  });
});
