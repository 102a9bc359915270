import { join } from 'node:path';
import { Command } from 'commander';
import { action, examples, whole, type World } from '../cli/cli.ts';
import type { DevOptions } from './dev.ts';

const SITES_MAX = 16;

export function devCommand(world: World): Command {
  const command = new Command('dev')
    .summary('run a mesh on this machine')
    .description(
      'Runs sites on this machine, each in a process of its own with all five services on ' +
        'embedded state, joined by links, with sample traffic and a live table. A site that ends ' +
        'by itself is started again; one that does so five times within a minute stops the whole ' +
        'with exit code 1. Ctrl-C drains, prints the ledger and exits 0; the next start goes on ' +
        'from disk.',
    )
    .option('--sites <n>', 'how many, in a line: west, east, north, …', whole(1, SITES_MAX), 2)
    .option('--ring', 'join the last to the first, too', false)
    .option('--data <dir>', 'where everything is kept', join('.mesh', 'data'))
    .option('--ports <base>', 'first port; 0 takes free ones', whole(0, 65_000))
    .option('--json', 'one JSON object a second instead of the table')
    .option('--quiet', 'no live table', false)
    .option('--no-sample', 'no sample traffic')
    .option('--rate <n>', 'sample events a second', whole(1, 1000), 4)
    .option('--services', 'a process for each service, with etcd and nats-server', false)
    .action(
      action<DevOptions>(world, async ({ options, output }) => {
        // Loaded here, so that quick commands do not wait for all of it.
        const { runDev } = await import('./dev.ts');
        await runDev(options, output, world);
      }),
    );
  return examples(command, {
    'mesh dev': 'two sites with sample traffic',
    'mesh dev --sites 4 --ring --no-sample': 'four in a ring, quiet but for you',
    'mesh dev --json | jq .sites': 'one JSON object a second',
    'mesh dev --services': 'ten services, etcd and nats-server',
  });
}
