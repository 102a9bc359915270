import type { Figure } from '../figure.ts';
import { generate } from '../generator.ts';
import { residentMiB } from '../processes.ts';
import { startSystem } from '../system.ts';
import { firstSite } from './shared.ts';

const FANOUT_EVENTS = 30_000;
const FANOUT_SUBSCRIPTIONS = 10;
const MANY_EVENTS = 1_000_000;

export const fanoutEmbedded: Figure = {
  name: 'fanout.embedded',
  what: `one publisher, ${FANOUT_SUBSCRIPTIONS} durable subscriptions, all settled; deliveries`,
  unit: 'events/s',
  baseline: undefined,
  async open() {
    const system = await startSystem({ sites: 1 });
    const job = {
      kind: 'fanout',
      site: firstSite(system),
      events: FANOUT_EVENTS,
      subscriptions: FANOUT_SUBSCRIPTIONS,
    } as const;
    return {
      async run() {
        const load = await generate(job, () => system.cpuSeconds());
        const events = FANOUT_EVENTS * FANOUT_SUBSCRIPTIONS;
        const { cpuSeconds, generatorCpuSeconds } = load;
        return { value: events / load.seconds, events, cpuSeconds, generatorCpuSeconds };
      },
      close: () => system.stop(),
    };
  },
};

export const catchupEmbedded: Figure = {
  name: 'catchup.embedded',
  what: '1,000,000 stored events read and settled by one subscription, while another one is live',
  unit: 'events/s',
  baseline: undefined,
  open: () =>
    Promise.resolve({
      async run() {
        const system = await startSystem({ sites: 1 });
        try {
          const job = { kind: 'catchup', site: firstSite(system), events: MANY_EVENTS } as const;
          const load = await generate(job, () => system.cpuSeconds());
          const { cpuSeconds, generatorCpuSeconds, beside } = load;
          const { seconds = load.seconds, ...others } = beside;
          const value = MANY_EVENTS / seconds;
          return { value, events: MANY_EVENTS, cpuSeconds, generatorCpuSeconds, beside: others };
        } finally {
          await system.stop();
        }
      },
      close: () => Promise.resolve(),
    }),
};

export const memoryBacklog: Figure = {
  name: 'memory.backlog',
  what: 'resident memory of an emesher process with 1,000,000 unsettled events of one subscription',
  unit: 'MiB',
  baseline: undefined,
  open: () =>
    Promise.resolve({
      async run() {
        const system = await startSystem({ sites: 1, services: true });
        try {
          const job = { kind: 'backlog', site: firstSite(system), events: MANY_EVENTS } as const;
          let resident = 0;
          // Asked once before and once after the load: the last answer counts.
          await generate(job, () => {
            resident = residentMiB(system.pidOf('emesher'));
            return 0;
          });
          return { value: resident, events: 0, cpuSeconds: 0, generatorCpuSeconds: 0 };
        } finally {
          await system.stop();
        }
      },
      close: () => Promise.resolve(),
    }),
};
