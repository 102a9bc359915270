import { Command } from 'commander';
import { action, collect, durationMs, examples, type Cli, type World } from '../cli/cli.ts';
import { printFields, printRows } from '../cli/output.ts';
import { limited, listed, type LimitOption } from '../cli/paging.ts';
import { aclClient } from './users.ts';

interface Options {
  readonly tenant: string;
  readonly role?: readonly string[];
  readonly expires?: number;
}

export function keysCommand(world: World): Command {
  const command = new Command('keys').description('API keys for programs.');
  limited(command.command('list', { isDefault: true }))
    .description('all of them, without their secrets (the default)')
    .option('--tenant <tenant>', 'tenant', 'default')
    .action(action<Options & LimitOption>(world, list));
  command
    .command('create <name>')
    .description('make one; its secret is printed this once')
    .option('--tenant <tenant>', 'tenant', 'default')
    .option('--role <role>', 'role; repeatable', collect)
    .option('--expires <time>', 'valid for this long, such as 90d; default for ever', durationMs)
    .action(action<Options, [string]>(world, create));
  command
    .command('revoke <id>')
    .description('refuse it from now on')
    .option('--tenant <tenant>', 'tenant', 'default')
    .action(
      action<Options, [string]>(world, async (cli, id) => {
        await aclClient(cli).revokeApiKey({ tenant: cli.options.tenant, id });
        cli.output.note(`${id} is revoked\n`);
      }),
    );
  return examples(command, {
    'mesh keys create shop --role publisher --expires 90d': 'a key for a program',
    'mesh keys': 'which there are',
    'mesh keys revoke 1f2e3d': 'no longer',
  });
}

const time = (ms: bigint): string => (ms === 0n ? 'never' : new Date(Number(ms)).toISOString());

async function list(cli: Cli<Options & LimitOption>): Promise<void> {
  const { tenant } = cli.options;
  const service = aclClient(cli);
  const keys = await listed(cli, async (page) => {
    const { keys: entries, nextPageToken } = await service.listApiKeys({ tenant, ...page });
    return { entries, nextPageToken };
  });
  printRows(
    cli.output,
    keys.map(({ $typeName: _, ...key }) => key),
    {
      ID: ({ id }) => id,
      TENANT: ({ tenant }) => tenant,
      NAME: ({ name }) => name,
      ROLES: ({ roles }) => roles.join(' '),
      CREATED: ({ createdMs }) => time(createdMs),
      EXPIRES: ({ expiresMs }) => time(expiresMs),
    },
  );
}

async function create(cli: Cli<Options>, name: string): Promise<void> {
  const { tenant, role = [], expires } = cli.options;
  const expiresMs = expires === undefined ? 0n : BigInt(Date.now() + expires);
  const reply = await aclClient(cli).createApiKey({ tenant, name, roles: [...role], expiresMs });
  printFields(cli.output, { id: reply.key?.id, name, secret: reply.secret });
}
