import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { invalid } from '@eventmesh/errors';
import { AclAdminService } from '@eventmesh/proto-gen/acl';
import { createClient } from '@eventmesh/rpc';
import { action, collect, examples, type Cli, type World } from '../cli/cli.ts';
import { printRows } from '../cli/output.ts';
import { limited, listed, type LimitOption } from '../cli/paging.ts';

interface Options {
  readonly tenant: string;
  readonly role?: readonly string[];
  readonly password?: string;
  readonly passwordFile?: string;
  readonly disabled?: boolean;
}

export const aclClient = ({ connection }: Cli<unknown>) =>
  createClient(AclAdminService, connection.transport('acl'));

export function usersCommand(world: World): Command {
  const command = new Command('users').description('Users who sign in by name and password.');
  limited(command.command('list', { isDefault: true }))
    .description('all of them (the default)')
    .option('--tenant <tenant>', 'tenant', 'default')
    .action(
      action<Options & LimitOption>(world, async (cli) => {
        const { tenant } = cli.options;
        const service = aclClient(cli);
        const users = await listed(cli, async (page) => {
          const { users: entries, nextPageToken } = await service.listUsers({ tenant, ...page });
          return { entries, nextPageToken };
        });
        printRows(
          cli.output,
          users.map(({ $typeName: _, ...user }) => user),
          {
            TENANT: ({ tenant }) => tenant,
            NAME: ({ name }) => name,
            ROLES: ({ roles }) => roles.join(' '),
            STATE: ({ disabled }) => (disabled ? 'disabled' : 'active'),
          },
        );
      }),
    );
  command
    .command('put <name>')
    .description('make one, or replace its roles; without a password the present one stays')
    .option('--tenant <tenant>', 'tenant', 'default')
    .option('--role <role>', 'role; repeatable', collect)
    .option('--password <password>', '8 to 1,024 bytes; seen by others of this machine')
    .option('--password-file <path>', 'file with the password; `-` for standard input')
    .option('--disabled', 'may not sign in')
    .action(action<Options, [string]>(world, put));
  command
    .command('delete <name>')
    .description('delete it')
    .option('--tenant <tenant>', 'tenant', 'default')
    .action(
      action<Options, [string]>(world, async (cli, name) => {
        await aclClient(cli).deleteUser({ tenant: cli.options.tenant, name });
        cli.output.note(`${name} is deleted\n`);
      }),
    );
  return examples(command, {
    'mesh users': 'who there is',
    'mesh users put ada --role publisher --password-file ada.txt': 'a user with a role',
    'mesh users delete ada': 'no longer',
  });
}

async function put(cli: Cli<Options>, name: string): Promise<void> {
  const { tenant, role = [], disabled = false } = cli.options;
  const password = passwordOf(cli.options);
  await aclClient(cli).putUser({ user: { tenant, name, roles: [...role], disabled }, password });
  cli.output.note(`${name} is stored\n`);
}

function passwordOf({ password, passwordFile }: Options): string {
  if (passwordFile === undefined) return password ?? '';
  if (password !== undefined) throw invalid('--password', 'give either it or --password-file');
  try {
    return readFileSync(passwordFile === '-' ? 0 : passwordFile, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw invalid('--password-file', (error as Error).message);
  }
}
