import { it } from '@jest/globals';
import { TestSite, nextHop } from './site.ts';
it('perf', async () => {
  const log = (...a: unknown[]) => process.stderr.write(a.join(' ') + '\n');
  const west = await TestSite.start('west', [{ site: 'mid' }]);
  const mid = await TestSite.start('mid', [
    { site: 'west', address: west.address },
    { site: 'east' },
  ]);
  const east = await TestSite.start('east', [{ site: 'mid', address: mid.address }]);
  await west.topology((t) => nextHop(t, 'east') === 'mid');
  const put = (i: number) =>
    west.client.putSubscription(
      { subscription: { name: `s${i}`, tenant: 'acme', topicFilters: [`a/${i}/b/#`] } },
      { timeoutMs: 60000 },
    );
  const lat: number[] = [];
  for (let i = 0; i < 30; i++) {
    const t = performance.now();
    const r = await put(i);
    const t1 = performance.now();
    await west.client.awaitConvergence({ interestVersion: r.interestVersion, timeoutMs: 10000n });
    lat.push(performance.now() - t1);
    if (i === 29) log('put ms', (t1 - t).toFixed(1));
  }
  lat.sort((a, b) => a - b);
  log('converge 2 hops p50', lat[15]!.toFixed(1), 'max', lat[29]!.toFixed(1));
  const c = process.cpuUsage();
  let t = performance.now();
  for (let i = 100; i < 600; i++) await put(i);
  log(
    '500 serial puts',
    (performance.now() - t).toFixed(0),
    'ms',
    JSON.stringify(process.cpuUsage(c)),
  );
  t = performance.now();
  await Promise.all(Array.from({ length: 5000 }, (_, i) => put(1000 + i)));
  log('5000 parallel puts', (performance.now() - t).toFixed(0), 'ms');
  t = performance.now();
  const r = await put(9999);
  log('one more put', (performance.now() - t).toFixed(0), 'ms');
  t = performance.now();
  log(
    await west.client
      .awaitConvergence({ interestVersion: r.interestVersion, timeoutMs: 20000n })
      .then((a) => a.convergedSites.join()),
    (performance.now() - t).toFixed(0),
    'ms',
  );
  for (const s of [west, mid, east]) await s.remove();
}, 120000);
