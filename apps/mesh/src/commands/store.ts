import { Command } from 'commander';
import type { StoreView } from '@eventmesh/adapter-api';
import { action, examples, type World } from '../cli/cli.ts';
import { printRows, toJson, type Output } from '../cli/output.ts';

export function storeCommand(world: World): Command {
  const command = new Command('store').description('The store of a site.');
  const status = command
    .command('status')
    .description(
      'How durable the store was found to be and how that was found out, what would make it ' +
        'stronger, its logs, and the topics that demand more and are refused.',
    )
    .action(
      action(world, async (cli) => {
        const view = await cli.connection.http().get<StoreView>('/v1/store');
        if (cli.output.json) cli.output.write(`${toJson(view)}\n`);
        else printStore(cli.output, view);
      }),
    );
  examples(status, {
    'mesh store status': 'of the default site',
    'mesh store status --site east -o json': 'of another, for a script',
  });
  return examples(command, { 'mesh store status': 'how durable is it, and why' });
}

function printStore(output: Output, view: StoreView): void {
  const { site, store, durability, evidence, warnings, recordBytesMax, logs, refusedTopics } = view;
  output.write(
    `${site}: ${store}, durability ${durability}, records up to ${recordBytesMax} bytes\n`,
  );
  output.write(`\nhow that was found out\n${evidence.map((fact) => `  ${fact}\n`).join('')}`);
  if (warnings.length > 0) {
    output.write(`\nwhat keeps it from more\n${warnings.map((text) => `  ${text}\n`).join('')}`);
  }
  output.write('\nlogs\n');
  const rows = logs.flatMap(({ log, partitions, ...kept }) =>
    partitions.map((partition) => ({ log, ...kept, ...partition })),
  );
  printRows(
    output,
    rows,
    {
      LOG: ({ log }) => log,
      PARTITION: ({ partition }) => partition,
      FIRST: ({ first }) => first,
      LAST: ({ last }) => last,
      BYTES: ({ bytes }) => bytes,
      'KEPT FOR': ({ retentionMs }) => (retentionMs === 0 ? 'ever' : `${retentionMs / 1000} s`),
      'KEPT UP TO': ({ retentionBytes }) => (retentionBytes === 0 ? 'any' : `${retentionBytes} B`),
    },
    'none yet',
  );
  if (refusedTopics.length === 0) return;
  output.write('\nrefused: these topics demand more\n');
  printRows(output, refusedTopics, {
    'TOPIC FILTER': ({ topicFilter }) => topicFilter,
    DEMANDS: ({ demands }) => demands,
  });
}
