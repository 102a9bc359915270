import { setTimeout as sleep } from 'node:timers/promises';
import { MeshClient } from '@eventmesh/sdk';
import type { Figure, Measurement } from '../figure.ts';
import { residentMiB } from '../processes.ts';
import { startSystem } from '../system.ts';

const IDLE_MS = 5000;

const ofSystem = (value: number): Measurement => ({
  value,
  events: 0,
  cpuSeconds: 0,
  generatorCpuSeconds: 0,
});

export const startEmbedded: Figure = {
  name: 'start.embedded',
  what: 'from the start command on an empty folder to the receipt of the first event, one site',
  unit: 's',
  baseline: undefined,
  open: () =>
    Promise.resolve({
      async run() {
        const startedMs = performance.now();
        const system = await startSystem({ sites: 1 });
        try {
          const [site] = system.sites;
          if (site === undefined) throw new Error('the mesh has no site');
          const { grpc, user, password } = site;
          const client = new MeshClient({ address: grpc, user, password });
          await client.publish('bench/start', { id: '1', source: '/bench', type: 'first' });
          const seconds = (performance.now() - startedMs) / 1000;
          client.close();
          return ofSystem(seconds);
        } finally {
          await system.stop();
        }
      },
      close: () => Promise.resolve(),
    }),
};

export const memoryEmbedded: Figure = {
  name: 'memory.embedded',
  what: `resident memory of a site's process, idle for ${IDLE_MS / 1000} s after its start`,
  unit: 'MiB',
  baseline: undefined,
  open: () =>
    Promise.resolve({
      async run() {
        const system = await startSystem({ sites: 1 });
        try {
          await sleep(IDLE_MS);
          return ofSystem(system.pids().reduce((sum, pid) => sum + residentMiB(pid), 0));
        } finally {
          await system.stop();
        }
      },
      close: () => Promise.resolve(),
    }),
};
