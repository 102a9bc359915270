import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { Metrics, eventHistogram } from './index.ts';

const BUCKETS = [0.001, 0.01, 1, 10];
const value = fc.oneof(
  fc.constantFrom(0, ...BUCKETS, 11),
  fc.double({ min: 0, max: 20, noNaN: true }),
);

describe('a histogram of what comes with every event', () => {
  it('reads as that of prom-client does, with labels and without', async () => {
    const seen = fc.array(fc.record({ from: fc.constantFrom('east', 'a"b', ''), value }));
    await fc.assert(
      fc.asyncProperty(seen, async (observations) => {
        const registry = new Registry();
        const metrics = new Metrics();
        const { own } = metrics.use({
          own: eventHistogram('seconds', 'Some seconds.', ['from'], BUCKETS),
        });
        const labelNames = ['from'];
        const options = { name: 'seconds', help: 'Some seconds.', buckets: BUCKETS, labelNames };
        const theirs = new Histogram({ ...options, registers: [registry] });
        for (const { from, value: seconds } of observations) {
          const labels = from === '' ? {} : { from };
          own.of(labels).observe(seconds);
          theirs.observe(labels, seconds);
        }
        expect(await metrics.render()).toBe(await registry.metrics());
      }),
    );
  });

  it('is shared by two parts of a process that name it', async () => {
    const metrics = new Metrics();
    const definition = eventHistogram('seconds', 'Some seconds.');
    metrics.use({ definition }).definition.of().observe(1);
    metrics.use({ definition }).definition.of().observe(2);
    expect(await metrics.render()).toContain('seconds_count 2');
  });
});
