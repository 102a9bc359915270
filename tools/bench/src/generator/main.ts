/** A process of its own that makes the load of one run: `generator/main.ts JOB`, with IPC. */
import { backlog } from './backlog.ts';
import { catchup } from './catchup.ts';
import { deliver } from './deliver.ts';
import { fanout } from './fanout.ts';
import { httpLoad } from './http.ts';
import { jetstream } from './jetstream.ts';
import type { Job, Ready, Told } from './job.ts';
import { latency } from './latency.ts';
import { lmdb } from './lmdb.ts';
import { pacedJetStream } from './paced-jetstream.ts';
import { pacedPublish } from './paced-publish.ts';
import { publish } from './publish.ts';

const tell = (told: Told) =>
  new Promise<void>((resolve) => {
    process.send?.(told, undefined, undefined, () => resolve());
  });

function prepare(job: Job): Promise<Ready> {
  switch (job.kind) {
    case 'publish':
      return publish(job);
    case 'deliver':
      return deliver(job);
    case 'fanout':
      return fanout(job);
    case 'backlog':
      return backlog(job);
    case 'catchup':
      return catchup(job);
    case 'paced-publish':
      return pacedPublish(job);
    case 'paced-jetstream':
      return pacedJetStream(job);
    case 'latency':
      return latency(job);
    case 'http':
      return httpLoad(job);
    case 'lmdb':
      return lmdb(job);
    case 'jetstream':
      return jetstream(job);
  }
}

const go = new Promise<void>((resolve) => {
  process.once('message', () => resolve());
});
try {
  const ready = await prepare(JSON.parse(process.argv[2] ?? '') as Job);
  await tell({ at: 'ready' });
  await go;
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  const beside = await ready.run();
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(startedCpu);
  await tell({ at: 'done', seconds, cpuSeconds: (user + system) / 1_000_000, beside });
  await ready.close();
} catch (error) {
  await tell({ at: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
process.disconnect();
