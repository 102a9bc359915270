import type { Figure } from '../figure.ts';
import { generate } from '../generator.ts';
import { startSystem } from '../system.ts';

const EVENTS = 1000;

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
