import { Command } from 'commander';
import { invalid } from '@eventmesh/errors';
import { Action } from '@eventmesh/proto-gen/acl';
import { action, examples, type Cli, type World } from '../cli/cli.ts';
import { printRows } from '../cli/output.ts';
import { limited, listed, type LimitOption } from '../cli/paging.ts';
import { aclClient } from './users.ts';

interface Options {
  readonly tenant: string;
  readonly deny?: boolean;
}

const ACTIONS: Readonly<Record<string, Action>> = Object.freeze({
  publish: Action.PUBLISH,
  subscribe: Action.SUBSCRIBE,
  admin: Action.ADMIN,
  inspect: Action.INSPECT,
});

const actionName = (wanted: Action): string =>
  Object.entries(ACTIONS).find(([, value]) => value === wanted)?.[0] ?? String(wanted);

export function policiesCommand(world: World): Command {
  const command = new Command('policies').description(
    'Who may do what: policy lines of subject, action and topic filter, and roles.',
  );
  const verb = (name: string, about: string) =>
    command.command(name).description(about).option('--tenant <tenant>', 'tenant', 'default');
  limited(command.command('list', { isDefault: true }))
    .description('all policy lines (the default)')
    .option('--tenant <tenant>', 'tenant', 'default')
    .action(action<Options & LimitOption>(world, list));
  verb('put <subject> <action> <filter>', 'allow it, or with --deny forbid it')
    .option('--deny', 'forbid; wins over every allow')
    .action(action<Options, [string, string, string]>(world, change('putPolicy')));
  verb('delete <subject> <action> <filter>', 'take the line back')
    .option('--deny', 'the line that forbids')
    .action(action<Options, [string, string, string]>(world, change('deletePolicy')));
  limited(verb('roles', 'who has which role')).action(action<Options & LimitOption>(world, roles));
  verb('assign <subject> <role>', 'give a principal or role a role').action(
    action<Options, [string, string]>(world, assign('assignRole')),
  );
  verb('revoke <subject> <role>', 'take a role back').action(
    action<Options, [string, string]>(world, assign('revokeRole')),
  );
  return examples(command, {
    'mesh policies': 'all lines',
    "mesh policies put billing subscribe 'orders/#'": 'the user or role billing may subscribe',
    "mesh policies put billing subscribe 'orders/secret/#' --deny": 'but not to this',
    'mesh policies assign ada billing': 'ada has the role billing',
  });
}

async function list(cli: Cli<Options & LimitOption>): Promise<void> {
  const { tenant } = cli.options;
  const service = aclClient(cli);
  const policies = await listed(cli, async (page) => {
    const { policies: entries, nextPageToken } = await service.listPolicies({ tenant, ...page });
    return { entries, nextPageToken };
  });
  const rows = policies.map(({ $typeName: _, ...line }) => ({
    ...line,
    action: actionName(line.action),
  }));
  printRows(cli.output, rows, {
    TENANT: ({ tenant }) => tenant,
    SUBJECT: ({ subject }) => subject,
    EFFECT: ({ deny }) => (deny ? 'deny' : 'allow'),
    ACTION: (row) => row.action,
    'TOPIC FILTER': ({ topicFilter }) => topicFilter,
  });
}

function change(call: 'putPolicy' | 'deletePolicy') {
  return async (cli: Cli<Options>, subject: string, verb: string, topicFilter: string) => {
    const wanted = ACTIONS[verb];
    if (wanted === undefined) {
      throw invalid('action', `"${verb}" is not one of ${Object.keys(ACTIONS).join(', ')}`);
    }
    const { tenant, deny = false } = cli.options;
    const policy = { tenant, subject, action: wanted, topicFilter, deny };
    const { revision } = await aclClient(cli)[call]({ policy });
    cli.output.note(`policy revision ${revision}\n`);
  };
}

async function roles(cli: Cli<Options & LimitOption>): Promise<void> {
  const { tenant } = cli.options;
  const service = aclClient(cli);
  const assignments = await listed(cli, async (page) => {
    const { assignments: entries, nextPageToken } = await service.listRoles({ tenant, ...page });
    return { entries, nextPageToken };
  });
  printRows(
    cli.output,
    assignments.map(({ $typeName: _, ...line }) => line),
    {
      TENANT: ({ tenant }) => tenant,
      SUBJECT: ({ subject }) => subject,
      ROLE: ({ role }) => role,
    },
  );
}

function assign(call: 'assignRole' | 'revokeRole') {
  return async (cli: Cli<Options>, subject: string, role: string) => {
    const assignment = { tenant: cli.options.tenant, subject, role };
    const { revision } = await aclClient(cli)[call]({ assignment });
    cli.output.note(`policy revision ${revision}\n`);
  };
}
