import { Command } from 'commander';
import { action, examples, type World } from '../cli/cli.ts';
import type { DemoOptions } from './demo.ts';

export function demoCommand(world: World): Command {
  const command = new Command('demo')
    .summary('a proof on real input')
    .description(
      'Starts two fresh sites, publishes every payload of @octokit/webhooks-examples (real GitHub ' +
        'webhooks) at west in five ways, consumes them at east under ten subscriptions, and proves ' +
        'that accepted = delivered + filtered for each, with order by key, nothing lost and ' +
        'nothing twice. Exit code 1 when it does not hold.',
    )
    .option('--services', 'on a process for each service, with etcd and nats-server', false)
    .option('--json', 'the proof as JSON')
    .option('--keep', 'leave the data folder, with the logs', false)
    .action(
      action<DemoOptions>(world, async ({ options, output }) => {
        // Loaded here, so that quick commands do not wait for all of it.
        const { runDemo } = await import('./demo.ts');
        await runDemo(options, output, world);
      }),
    );
  return examples(command, {
    'mesh demo': 'on two embedded sites',
    'mesh demo --services': 'on ten services with real etcd and nats-server',
    'mesh demo --json | jq .proven': 'for a script',
  });
}
