import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Measurement } from './figure.ts';
import type { Job, Told } from './generator/job.ts';

const PROGRAM = new URL('./generator/main.ts', import.meta.url);

export type Load = Pick<Measurement, 'cpuSeconds' | 'generatorCpuSeconds'> & {
  readonly seconds: number;
  readonly beside: Readonly<Record<string, number>>;
};

/**
 * Runs a job in a generator process of its own and reads the CPU time of the system under test
 * round its timed part, which excludes connecting and warming up.
 */
export async function generate(job: Job, systemCpuSeconds: () => number): Promise<Load> {
  const child = fork(PROGRAM, [JSON.stringify(job)], {
    // As the services, and as docs/concepts/flow-control.md advises.
    execArgv: [
      '--max-semi-space-size=8',
      '--no-parallel-scavenge',
      '--no-allocation-site-pretenuring',
    ],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString('utf8')}`.slice(-4000);
  });
  const ended = once(child, 'close');
  const next = (): Promise<Told> =>
    Promise.race([
      once(child, 'message').then(([told]) => told as Told),
      ended.then(([code]): Told => {
        return { at: 'failed', message: `it ended with exit code ${code}: ${words.trim()}` };
      }),
    ]);
  try {
    expectAt(await next(), 'ready');
    const before = systemCpuSeconds();
    child.send('go');
    const told = expectAt(await next(), 'done');
    const cpuSeconds = systemCpuSeconds() - before;
    const { seconds, beside } = told;
    return { cpuSeconds, generatorCpuSeconds: told.cpuSeconds, seconds, beside };
  } finally {
    await ended;
  }
}

function expectAt<At extends Told['at']>(told: Told, at: At): Extract<Told, { at: At }> {
  if (told.at === 'failed') throw new Error(`the generator failed: ${told.message}`);
  if (told.at !== at) throw new Error(`the generator said ${told.at} before ${at}`);
  return told as Extract<Told, { at: At }>;
}
