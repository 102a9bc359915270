import { Command } from 'commander';
import { action, durationMs, whole, type Cli, type World } from '../cli/cli.ts';
import { printFields } from '../cli/output.ts';
import { governanceClient } from './audit.ts';

interface TenantOption {
  readonly tenant: string;
}

interface PutOptions extends TenantOption {
  readonly bytes: number;
  readonly retention?: number;
  readonly alarm: number;
}

/** What the dead letters of a tenant may take; one entry for a tenant. */
export function deadLetterQuota(world: World): Command {
  const command = new Command('dead-letters').description(
    'what dead letters of a tenant may take at each site, and when to raise the alarm',
  );
  tenanted(command.command('show', { isDefault: true }))
    .description('the entry of the tenant (the default)')
    .action(action<TenantOption>(world, show));
  tenanted(command.command('put'))
    .description('make or replace it; what is left out is as the emeshers are configured')
    .option('--bytes <n>', 'stored bytes; at the limit events are held', bytes, 0)
    .option('--retention <time>', 'drop them at this age, such as 90d; 0s keeps them', durationMs)
    .option('--alarm <percent>', 'raise the alarm at so much of the bytes', whole(1, 100), 0)
    .action(
      action<PutOptions>(world, async (cli) => {
        const { tenant, bytes: most, retention, alarm: alarmPercent } = cli.options;
        await governanceClient(cli).putDeadLetterQuota({
          deadLetterQuota: {
            tenant,
            bytesMax: BigInt(most),
            ...(retention === undefined ? {} : { retentionMs: BigInt(retention) }),
            alarmPercent,
          },
        });
        cli.output.note('the quota of dead letters is stored\n');
      }),
    );
  tenanted(command.command('delete'))
    .description('delete it: all is as the emeshers are configured')
    .action(
      action<TenantOption>(world, async (cli) => {
        await governanceClient(cli).deleteDeadLetterQuota({ tenant: cli.options.tenant });
        cli.output.note('the quota of dead letters is deleted\n');
      }),
    );
  return command;
}

const bytes = whole(65_536, Number.MAX_SAFE_INTEGER);
const tenanted = (command: Command): Command =>
  command.option('--tenant <tenant>', 'tenant', 'default');

/** What is as the emeshers are configured is left out. */
async function show(cli: Cli<TenantOption>): Promise<void> {
  const { tenant } = cli.options;
  const { deadLetterQuota: found } = await governanceClient(cli).getDeadLetterQuota({ tenant });
  printFields(cli.output, {
    tenant,
    ...(found === undefined || found.bytesMax === 0n ? {} : { bytesMax: found.bytesMax }),
    ...(found?.retentionMs === undefined ? {} : { retentionMs: found.retentionMs }),
    ...(found === undefined || found.alarmPercent === 0
      ? {}
      : { alarmPercent: found.alarmPercent }),
  });
  if (found === undefined) cli.output.note('as the emeshers are configured\n');
}
