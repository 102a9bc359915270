import { Command } from 'commander';
import { GovernanceService } from '@eventmesh/proto-gen/governance';
import { createClient } from '@eventmesh/rpc';
import { action, examples, whole, type Cli, type World } from '../cli/cli.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { printFields, printRows } from '../cli/output.ts';
import { listed } from '../cli/paging.ts';

interface Options {
  readonly tenant: string;
  readonly after: number;
  readonly limit: number;
}

export const governanceClient = ({ connection }: Cli<unknown>) =>
  createClient(GovernanceService, connection.transport('governance'));

export function auditCommand(world: World): Command {
  const command = new Command('audit').description(
    'The append-only record of control changes and refusals.',
  );
  command
    .command('list', { isDefault: true })
    .description('entries in order (the default)')
    .option('--tenant <tenant>', 'tenant', 'default')
    .option('--after <sequence>', 'only later ones', whole(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--limit <n>', 'at most this many', whole(1, 1_000_000), 100)
    .action(action<Options>(world, list));
  command
    .command('verify')
    .description('recompute the chain of hashes; exit code 1 when it does not hold')
    .action(action(world, verify));
  return examples(command, {
    'mesh audit --limit 20': 'the first entries',
    'mesh audit verify': 'was it tampered with?',
  });
}

async function list(cli: Cli<Options>): Promise<void> {
  const { tenant, after } = cli.options;
  const service = governanceClient(cli);
  const asked = { tenant, afterSequence: BigInt(after) };
  const entries = await listed(cli, (page) => service.listAudit({ ...asked, ...page }));
  printRows(
    cli.output,
    entries.map(({ $typeName: _, ...entry }) => entry),
    {
      SEQUENCE: ({ sequence }) => sequence,
      TIME: ({ timeMs }) => new Date(Number(timeMs)).toISOString(),
      PRINCIPAL: ({ principal }) => principal,
      ACTION: (entry) => entry.action,
      RESOURCE: ({ resource }) => resource,
      OUTCOME: ({ outcome }) => outcome,
      REASON: ({ reason }) => reason,
      COUNT: ({ count }) => count,
    },
  );
}

async function verify(cli: Cli<object>): Promise<void> {
  const { intact, brokenSequence, entries } = await governanceClient(cli).verifyAudit({});
  printFields(cli.output, {
    intact,
    entries,
    ...(intact ? {} : { brokenSequence }),
  });
  if (!intact) cli.world.exit(EXIT.failed);
}
