import { describe, expect, it } from '@jest/globals';
import { Metrics } from '@eventmesh/telemetry';
import { emesherMetrics } from '../metrics.ts';
import type { DirectoryListener } from './directory.ts';
import { Takeovers } from './takeovers.ts';

function setUp() {
  const metrics = new Metrics();
  const live = metrics.use(emesherMetrics);
  let told: DirectoryListener = {};
  const clock = { nowMs: 1000 };
  const directory = {
    listen(listener: DirectoryListener) {
      told = listener;
      return () => undefined;
    },
  };
  void new Takeovers(directory, live, () => clock.nowMs);
  const counts = async () => {
    const { values } = await live.takeovers.get();
    return Object.fromEntries(values.map(({ labels, value }) => [labels.kind, value]));
  };
  const seconds = async () => {
    const { values } = await live.takeoverSeconds.get();
    return values.find(({ metricName }) => metricName?.endsWith('_sum') === true)?.value;
  };
  return { told, clock, counts, seconds };
}

describe('takeovers', () => {
  it('are counted when the owner that refused a name has left, with the time since then', async () => {
    const { told, clock, counts, seconds } = setUp();
    told.refused?.('subscription/acme/billing', 'm1');
    clock.nowMs = 6000;
    told.memberLeft?.('m1');
    // The registry may need a moment to end what hung on the lease.
    told.refused?.('subscription/acme/billing', 'm1');
    clock.nowMs = 6500;
    told.acquired?.('subscription/acme/billing');
    expect(await counts()).toEqual({ subscription: 1 });
    expect(await seconds()).toBe(0.5);
  });

  it('are not what its owner gave up, what nobody owned, and what a third one took meanwhile', async () => {
    const { told, counts } = setUp();
    told.refused?.('link/east', 'm1');
    told.acquired?.('link/east');
    told.acquired?.('timers/acme');
    told.refused?.('dead/acme', 'm1');
    told.memberLeft?.('m1');
    told.refused?.('dead/acme', 'm2');
    told.acquired?.('dead/acme');
    told.acquired?.('dead/acme');
    expect(await counts()).toEqual({});
  });
});
