import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNats } from '@eventmesh/tools-provision';
import type { Figure, Measurement } from '../figure.ts';
import { generate } from '../generator.ts';
import type { Job } from '../generator/job.ts';
import { startSystem, type Site, type System } from '../system.ts';
import { startEcho } from './echo.ts';

const EVENTS = 150_000;
const HTTP_EVENTS = 20_000;
const HTTP_CONNECTIONS = 32;

/** A baseline is no part of the mesh. */
const NO_CPU = () => 0;

/** Runs a job with a fixed number of events against a system. */
async function throughput(
  system: System,
  job: Job & { readonly events: number },
): Promise<Measurement> {
  const load = await generate(job, () => system.cpuSeconds());
  const { cpuSeconds, generatorCpuSeconds } = load;
  const { events } = job;
  return { value: events / load.seconds, events, cpuSeconds, generatorCpuSeconds };
}

async function baselineRate(job: Job & { readonly events: number }): Promise<number> {
  return job.events / (await generate(job, NO_CPU)).seconds;
}

async function lmdbRate(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'eventmesh-bench-lmdb-'));
  try {
    return await baselineRate({ kind: 'lmdb', dir, events: EVENTS });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function firstSite({ sites }: System): Site {
  const [site] = sites;
  if (site === undefined) throw new Error('the mesh has no site');
  return site;
}

function embedded(name: string, what: string, kind: 'publish' | 'deliver'): Figure {
  return {
    name,
    what,
    unit: 'events/s',
    baseline: 'raw LMDB: batches of 500 durable puts, 16 open',
    async open() {
      const system = await startSystem({ sites: 1 });
      const job = { kind, site: firstSite(system), events: EVENTS } as const;
      return {
        run: () => throughput(system, job),
        baseline: lmdbRate,
        close: () => system.stop(),
      };
    },
  };
}

export const publishEmbedded = embedded(
  'publish.embedded',
  'gRPC stream publish to durable receipt, one embedded site',
  'publish',
);

export const deliverEmbedded = embedded(
  'deliver.embedded',
  'publish to settled delivery 1:1, one embedded site',
  'deliver',
);

export const publishJetStream: Figure = {
  name: 'publish.jetstream',
  what: 'gRPC stream publish to durable receipt through emesher and store-gateway processes',
  unit: 'events/s',
  baseline: 'raw JetStream: atomic batches of 500, 3 open, sync_interval always',
  async open() {
    const system = await startSystem({ sites: 1, services: true });
    const dir = mkdtempSync(join(tmpdir(), 'eventmesh-bench-nats-'));
    const nats = await startNats({ dir }).catch(async (error: unknown) => {
      await system.stop();
      throw error;
    });
    const job = { kind: 'publish', site: firstSite(system), events: EVENTS } as const;
    return {
      run: () => throughput(system, job),
      baseline: () => baselineRate({ kind: 'jetstream', url: nats.url, events: EVENTS }),
      async close() {
        await nats.stop();
        rmSync(dir, { recursive: true, force: true });
        await system.stop();
      },
    };
  },
};

export const publishHttp: Figure = {
  name: 'publish.http',
  what: `single events over HTTP, ${HTTP_CONNECTIONS} connections, one embedded site`,
  unit: 'events/s',
  baseline: 'a bare fastify that sends the same body back',
  async open() {
    const system = await startSystem({ sites: 1 });
    const echo = await startEcho().catch(async (error: unknown) => {
      await system.stop();
      throw error;
    });
    const { http, user, password } = firstSite(system);
    const job = (url: string) =>
      ({
        kind: 'http',
        url,
        user,
        password,
        connections: HTTP_CONNECTIONS,
        events: HTTP_EVENTS,
      }) as const;
    return {
      run: () => throughput(system, job(`${http}/v1/topics/bench/http`)),
      baseline: () => baselineRate(job(`${echo.url}/echo`)),
      async close() {
        await echo.stop();
        await system.stop();
      },
    };
  },
};
