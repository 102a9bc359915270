import { isDeepStrictEqual } from 'node:util';
import { Command, Option } from 'commander';
import {
  SubscriberService,
  type SubscriptionStatus,
  type SubscriptionWithStatus,
} from '@eventmesh/proto-gen/subscriber';
import { invalid } from '@eventmesh/errors';
import { createClient } from '@eventmesh/rpc';
import { START_FORMS } from '@eventmesh/sdk';
import {
  changeToProto,
  startFromProto,
  startToProto,
  subscriptionFromProto,
  subscriptionInputToProto,
} from '@eventmesh/wire';
import { action, collect, durationMs, examples, type Cli, type World } from '../cli/cli.ts';
import { printFields, printRows, type Columns } from '../cli/output.ts';
import { limited, listed, type LimitOption } from '../cli/paging.ts';
import { deliveryOptions, withDelivery, type DeliveryOptions } from './delivery-options.ts';
import { parseFilter, parseStart, toSpec, type SpecOptions } from './filters.ts';

interface CreateOptions extends SpecOptions, DeliveryOptions {
  readonly converge: number;
}

interface UpdateOptions extends DeliveryOptions {
  readonly filter?: readonly string[];
  readonly clearFilters?: boolean;
  readonly ordered?: boolean;
}

const client = ({ connection }: Cli<unknown>) =>
  createClient(SubscriberService, connection.transport('grpc'));

export function subscriptionsCommand(world: World): Command {
  const command = new Command('subscriptions')
    .alias('subs')
    .summary('durable subscriptions and their books')
    .description('Lists the durable subscriptions of a site, and makes, changes or deletes them.');
  limited(command.command('list', { isDefault: true }))
    .description('all of them with their books (the default)')
    .action(action<LimitOption>(world, list));
  command
    .command('show <name>')
    .description('one of them, whole')
    .action(action<object, [string]>(world, show));
  deliveryOptions(command.command('create <name> <filters...>'))
    .description('make one; the same again is no error')
    .option('--filter <filter>', 'CloudEvents filter; repeatable', collect)
    .option('--from <start>', START_FORMS)
    .option('--direct', 'direct events, at most once')
    .option('--exclusive', 'one consumer at a time')
    .option('--broadcast', 'each consumer gets every event')
    .option('--ordered', 'events of one key one after the other')
    .addOption(
      new Option('--converge <time>', 'wait for the other sites to know, at most')
        .argParser(durationMs)
        .default(2000, '2s'),
    )
    .action(action<CreateOptions, [string, readonly string[]]>(world, create));
  deliveryOptions(command.command('update <name> [filters...]'))
    .description('change what is given, topic filters too; its progress and all else stay')
    .option('--filter <filter>', 'CloudEvents filter in place of those it has; repeatable', collect)
    .option('--clear-filters', 'no CloudEvents filter any more')
    .option('--ordered', 'events of one key one after the other')
    .option('--no-ordered', 'in any order')
    .action(action<UpdateOptions, [string, readonly string[]]>(world, update));
  for (const [verb, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    command
      .command(`${verb} <name>`)
      .description(paused ? 'stop delivering; events are kept' : 'deliver again')
      .action(
        action<object, [string]>(world, async (cli, name) => {
          await client(cli).pauseSubscription({ name, paused });
          cli.output.note(`${name} is ${paused ? 'paused' : 'running'}\n`);
        }),
      );
  }
  command
    .command('seek <name> <start>')
    .description(`go on from: ${START_FORMS}`)
    .action(action<object, [string, string]>(world, seek));
  command
    .command('delete <name>')
    .description('delete it with its cursor; what is unsettled is not delivered any more')
    .action(
      action<object, [string]>(world, async (cli, name) => {
        await client(cli).deleteSubscription({ name });
        cli.output.note(`${name} is deleted\n`);
      }),
    );
  return examples(command, {
    'mesh subscriptions --site east': 'what is subscribed, delivered and held',
    "mesh subscriptions create billing 'orders/#' --filter prefix:type=com.example.":
      'a durable subscription',
    'mesh subscriptions update billing --attempts 5 --retry linear --retry-delay 10s':
      'give up sooner',
    'mesh subscriptions seek billing earliest': 'deliver everything again',
  });
}

const COLUMNS: Columns<SubscriptionWithStatus> = {
  NAME: ({ subscription }) => subscription?.name,
  FILTERS: ({ subscription }) => subscription?.topicFilters.join(' '),
  DELIVERED: ({ status }) => status?.delivered,
  FILTERED: ({ status }) => status?.filtered,
  HELD: ({ status }) => status?.held,
  DELAYED: ({ status }) => delayed(status),
  LAG: ({ status }) => status?.lag,
  'DEAD-LETTERED': ({ status }) => status?.deadLettered,
  DROPPED: ({ status }) => status?.dropped,
  CONSUMERS: ({ status }) => status?.consumers,
  STATE: stateText,
};

/** Whether it runs, and what holds it back. */
export function stateText({
  subscription,
  status,
}: Pick<SubscriptionWithStatus, 'subscription' | 'status'>): string {
  const { stopped = '', paced = 0n } = status ?? {};
  return [
    subscription?.paused === true ? 'paused' : 'running',
    ...(stopped === '' ? [] : [`reading stopped: ${stopped}`]),
    ...(paced === 0n ? [] : [`${paced} paced`]),
  ].join(', ');
}

/** How many wait for a retry or a delay, and when the first of them is due. */
function delayed(status: SubscriptionStatus | undefined): string {
  if (status === undefined || status.delayed === 0n) return '0';
  const due = new Date(Number(status.nextDueMs)).toISOString();
  return `${status.delayed}, ${due}`;
}

async function list(cli: Cli<LimitOption>): Promise<void> {
  const service = client(cli);
  const rows = await listed(cli, async (page) => {
    const { subscriptions: entries, nextPageToken } = await service.listSubscriptions(page);
    return { entries, nextPageToken };
  });
  if (cli.output.json) printRows(cli.output, rows.map(view), {});
  else printRows(cli.output, rows, COLUMNS, 'no durable subscriptions at this site');
}

async function show(cli: Cli<object>, name: string): Promise<void> {
  const { subscription, status } = await client(cli).getSubscription({ name });
  const whole = view({ subscription, status });
  if (cli.output.json) printFields(cli.output, whole);
  else printFields(cli.output, { ...whole.subscription, ...whole.status });
}

/** As JSON without the wire's own fields. */
function view({ subscription, status }: Pick<SubscriptionWithStatus, 'subscription' | 'status'>) {
  const { $typeName: _, stuckKeys, ...books } = status ?? { $typeName: '', stuckKeys: [] };
  const stuck = stuckKeys.map(({ $typeName: __, ...key }) => key);
  return {
    subscription:
      subscription === undefined
        ? undefined
        : {
            ...subscriptionFromProto(subscription),
            start: startFromProto(subscription.start),
            tenant: subscription.tenant,
            owner: subscription.owner,
            site: subscription.site,
            createdMs: subscription.createdMs,
            revision: subscription.revision,
            broadcastOf: subscription.broadcastOf,
          },
    status: { ...books, stuckKeys: stuck },
  };
}

async function create(
  cli: Cli<CreateOptions>,
  name: string,
  filters: readonly string[],
): Promise<void> {
  const { convergedSites, unreachableSites } = await client(cli).createSubscription({
    subscription: subscriptionInputToProto(
      withDelivery(toSpec(name, filters, cli.options), cli.options),
    ),
    convergeMs: BigInt(cli.options.converge),
  });
  printFields(cli.output, {
    subscription: name,
    known: convergedSites.join(', ') || 'here',
    unreachable: unreachableSites.join(', ') || 'none',
  });
}

async function update(
  cli: Cli<UpdateOptions>,
  name: string,
  topicFilters: readonly string[],
): Promise<void> {
  const { filter, clearFilters = false, ordered } = cli.options;
  if (clearFilters && filter !== undefined) {
    throw invalid('--clear-filters', 'give either this or --filter');
  }
  const change = {
    ...withDelivery({ name, topicFilters }, cli.options),
    ...(filter === undefined ? {} : { filters: filter.map(parseFilter) }),
    ...(clearFilters ? { filters: [] } : {}),
    ...(ordered === undefined ? {} : { ordered }),
  };
  if (isDeepStrictEqual(change, { name, topicFilters: [], retry: {} })) {
    throw invalid('update', 'changes nothing; give topic filters, or an option of --help');
  }
  // What is not given stays, whatever others change at the same time.
  await client(cli).updateSubscription(changeToProto(change));
  cli.output.note(`${name} is changed; its consumers are told to reconnect\n`);
}

async function seek(cli: Cli<object>, name: string, text: string): Promise<void> {
  await client(cli).seekSubscription({ name, start: startToProto(parseStart(text, 'start')) });
  cli.output.note(`${name} goes on from ${text}\n`);
}
