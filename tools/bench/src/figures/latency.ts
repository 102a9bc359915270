import type { Figure } from '../figure.ts';
import { generate } from '../generator.ts';
import { startSystem } from '../system.ts';
import { baselineBeside, firstSite, jetStreamBench, throughput } from './shared.ts';

const EVENTS = 1000;
/** To find out what the mesh can do, and how long it is then held at half of it. */
const CAPACITY_EVENTS = 60_000;
const PACED_SECONDS = 5;

export const latencyTwoSites: Figure = {
  name: 'latency.two-sites',
  what: 'one event at a time, publish at one site to delivery at the other, embedded; p50',
  unit: 'ms',
  baseline: undefined,
  async open() {
    const system = await startSystem({ sites: 2 });
    const [from, to] = system.sites;
    if (from === undefined || to === undefined) throw new Error('the mesh has not two sites');
    const job = { kind: 'latency', from, to, events: EVENTS } as const;
    return {
      async run() {
        const load = await generate(job, () => system.cpuSeconds());
        const { cpuSeconds, generatorCpuSeconds, beside } = load;
        const { p50 = Number.NaN, ...others } = beside;
        return { value: p50, events: EVENTS, cpuSeconds, generatorCpuSeconds, beside: others };
      },
      close: () => system.stop(),
    };
  },
};

export const latencyJetStream: Figure = {
  name: 'latency.jetstream',
  what:
    'publish to durable receipt at half of what emesher and store-gateway can do, open-loop; p50 ' +
    'beyond that of raw JetStream at the same rate',
  unit: 'ms',
  baseline: undefined,
  async open() {
    const { system, url, close } = await jetStreamBench();
    const site = firstSite(system);
    return {
      async run() {
        const { value } = await throughput(system, {
          kind: 'publish',
          site,
          events: CAPACITY_EVENTS,
        });
        const rate = Math.round(value / 2);
        const events = rate * PACED_SECONDS;
        const raw = await baselineBeside({ kind: 'paced-jetstream', url, events, rate });
        const job = { kind: 'paced-publish', site, events, rate } as const;
        const load = await generate(job, () => system.cpuSeconds());
        const { cpuSeconds, generatorCpuSeconds, beside } = load;
        const { p50 = Number.NaN, p99 = Number.NaN } = beside;
        const { p50: rawP50 = Number.NaN, p99: rawP99 = Number.NaN } = raw;
        return {
          value: p50 - rawP50,
          events,
          cpuSeconds,
          generatorCpuSeconds,
          beside: { p99: p99 - rawP99, rate, ownP50: p50, ownP99: p99, rawP50, rawP99 },
        };
      },
      close,
    };
  },
};
