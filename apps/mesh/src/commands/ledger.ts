import { Command } from 'commander';
import type { LedgerLine } from '@eventmesh/adapter-api';
import { action, examples, type World } from '../cli/cli.ts';
import { printRows, type Columns } from '../cli/output.ts';

export const LEDGER_COLUMNS: Columns<LedgerLine> = {
  TENANT: ({ tenant }) => tenant,
  SUBSCRIPTION: ({ subscription }) => (subscription === '' ? '(accepted here)' : subscription),
  ACCEPTED: ({ accepted }) => accepted,
  DELIVERED: ({ delivered }) => delivered,
  FILTERED: ({ filtered }) => filtered,
  EXPIRED: ({ expired }) => expired,
  'DEAD-LETTERED': ({ deadLettered }) => deadLettered,
  DROPPED: ({ dropped }) => dropped,
  HELD: ({ held }) => held,
};

export function ledgerCommand(world: World): Command {
  const command = new Command('ledger')
    .description('The books of a site: what became of every event.')
    .action(
      action(world, async (cli) => {
        const { lines } = await cli.connection.http().get<{ lines: LedgerLine[] }>('/v1/ledger');
        printRows(cli.output, lines, LEDGER_COLUMNS, 'nothing happened yet at this site');
      }),
    );
  return examples(command, {
    'mesh ledger': 'the books of the default site',
    'mesh ledger --site east -o json': 'of another, for a script',
  });
}
