import { Command } from 'commander';
import type { LedgerFinding, LedgerLine } from '@eventmesh/adapter-api';
import { action, examples, type Cli, type World } from '../cli/cli.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { printRows, type Columns } from '../cli/output.ts';

interface Options {
  readonly check?: boolean;
}

export const LEDGER_COLUMNS: Columns<LedgerLine> = {
  TENANT: ({ tenant }) => tenant,
  SUBSCRIPTION: ({ subscription, sinceMs }) =>
    subscription === '' ? `(accepted here since ${sinceText(sinceMs)})` : subscription,
  ACCEPTED: ({ accepted }) => accepted,
  DELIVERED: ({ delivered }) => delivered,
  FILTERED: ({ filtered }) => filtered,
  EXPIRED: ({ expired }) => expired,
  'DEAD-LETTERED': ({ deadLettered }) => deadLettered,
  DROPPED: ({ dropped }) => dropped,
  HELD: ({ held }) => held,
};

const sinceText = (sinceMs: number): string => `${new Date(sinceMs).toISOString().slice(0, 19)}Z`;

export function ledgerCommand(world: World): Command {
  const command = new Command('ledger')
    .description(
      'The books of a site: what became of every event. For a subscription accepted is what it has ' +
        'looked at, and the other columns add up to it; the line of the tenant counts what the emesher ' +
        'that is asked has accepted from clients since it started.',
    )
    .option('--check', 'reconcile the books with the store; exit code 1 on a difference')
    .action(action<Options>(world, (cli) => (cli.options.check === true ? check(cli) : show(cli))));
  return examples(command, {
    'mesh ledger': 'the books of the default site',
    'mesh ledger --check': 'do they agree with what is stored?',
    'mesh ledger --site east -o json': 'of another, for a script',
  });
}

async function show(cli: Cli<Options>): Promise<void> {
  const { lines } = await cli.connection.http().get<{ lines: LedgerLine[] }>('/v1/ledger');
  printRows(cli.output, lines, LEDGER_COLUMNS, 'nothing happened yet at this site');
}

async function check(cli: Cli<Options>): Promise<void> {
  const { findings } = await cli.connection
    .http()
    .get<{ findings: LedgerFinding[] }>('/v1/ledger/check');
  printRows(cli.output, findings, {
    SUBSCRIPTION: ({ subscription }) => (subscription === '' ? '(tenant)' : subscription),
    CHECK: ({ check: what }) => what,
    STORE: ({ expected }) => expected,
    COUNTED: ({ counted }) => counted,
    DIFFERENCE: ({ expected, counted }) => counted - expected,
    VERDICT: ({ verdict }) => verdict,
    MEANING: ({ detail }) => detail,
  });
  if (findings.some(({ verdict }) => verdict === 'difference')) cli.world.exit(EXIT.failed);
}
