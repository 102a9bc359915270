import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNats } from '@eventmesh/tools-provision';
import type { Measurement } from '../figure.ts';
import { generate } from '../generator.ts';
import type { Job } from '../generator/job.ts';
import { startSystem, type Site, type System } from '../system.ts';

/** A baseline is no part of the mesh. */
const NO_CPU = () => 0;

export type CountedJob = Job & { readonly events: number };

/** Runs a job with a fixed number of events against a system. */
export async function throughput(system: System, job: CountedJob): Promise<Measurement> {
  const load = await generate(job, () => system.cpuSeconds());
  const { cpuSeconds, generatorCpuSeconds } = load;
  const { events } = job;
  return { value: events / load.seconds, events, cpuSeconds, generatorCpuSeconds };
}

export async function baselineRate(job: CountedJob): Promise<number> {
  return job.events / (await generate(job, NO_CPU)).seconds;
}

/** Runs a job that has no part in the mesh, and answers what it measured. */
export const baselineBeside = async (job: Job) => (await generate(job, NO_CPU)).beside;

export const LMDB_BASELINE = 'raw LMDB: batches of 500 durable puts, 16 open';
export const JETSTREAM_BASELINE =
  'raw JetStream: atomic batches of 500, 3 open, sync_interval always';

export async function lmdbRate(events: number): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'eventmesh-bench-lmdb-'));
  try {
    return await baselineRate({ kind: 'lmdb', dir, events });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export function firstSite({ sites }: System): Site {
  const [site] = sites;
  if (site === undefined) throw new Error('the mesh has no site');
  return site;
}

/** One site of service processes on JetStream, and a nats-server of its own for the baseline. */
export async function jetStreamBench() {
  const system = await startSystem({ sites: 1, services: true });
  const dir = mkdtempSync(join(tmpdir(), 'eventmesh-bench-nats-'));
  const nats = await startNats({ dir }).catch(async (error: unknown) => {
    await system.stop();
    throw error;
  });
  return {
    system,
    url: nats.url,
    async close() {
      await nats.stop();
      rmSync(dir, { recursive: true, force: true });
      await system.stop();
    },
  };
}
