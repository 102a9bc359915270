import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { invalid } from '@eventmesh/errors';
import { DeliveryClass, DurabilityClass } from '@eventmesh/proto-gen/event';
import { EventType_Enforcement as Enforcement } from '@eventmesh/proto-gen/governance';
import { action, collect, durationMs, examples, whole, type Cli, type World } from '../cli/cli.ts';
import { printRows } from '../cli/output.ts';
import { limited, listed, type LimitOption } from '../cli/paging.ts';
import { governanceClient } from './audit.ts';
import { deadLetterQuota } from './dead-letter-quota.ts';

interface TenantOption {
  readonly tenant: string;
}

export function catalogueCommand(world: World): Command {
  const command = new Command('catalogue').description(
    'Rules for producers and consumers: topics, event types, quotas and dead letters.',
  );
  command.addCommand(topics(world), { isDefault: true }).addCommand(types(world));
  command.addCommand(quotas(world)).addCommand(deadLetterQuota(world));
  return examples(command, {
    'mesh catalogue topics': 'entries of the catalogue',
    "mesh catalogue topics put 'orders/#' --retention 12h --type com.example.order": 'an entry',
    'mesh catalogue types put com.example.order --schema order.json': 'a JSON Schema for a type',
    'mesh catalogue quotas put --principal shop --events 500': 'at most 500 events a second',
    'mesh catalogue dead-letters put --retention 90d --alarm 60':
      'keep dead letters for 90 days, and tell at 60 % of their quota',
  });
}

const tenanted = (command: Command): Command =>
  command.option('--tenant <tenant>', 'tenant', 'default');

interface TopicOptions extends TenantOption {
  readonly description?: string;
  readonly retention?: number;
  readonly type?: readonly string[];
  readonly eventBytes?: number;
  readonly durability?: string;
  readonly direct?: boolean;
  readonly owner?: string;
}

const DURABILITY: Readonly<Record<string, DurabilityClass>> = Object.freeze({
  memory: DurabilityClass.MEMORY,
  'page-cache': DurabilityClass.PAGE_CACHE,
  fsync: DurabilityClass.FSYNC,
  'quorum-memory': DurabilityClass.QUORUM_MEMORY,
  'quorum-fsync': DurabilityClass.QUORUM_FSYNC,
});

/** Empty for what no entry demands. */
const durabilityName = (wanted: DurabilityClass): string =>
  Object.entries(DURABILITY).find(([, known]) => known === wanted)?.[0] ?? '';

function topics(world: World): Command {
  const command = new Command('topics').description('catalogue entries of topics (the default)');
  limited(tenanted(command.command('list', { isDefault: true })))
    .description('all of them (the default)')
    .action(
      action<TenantOption & LimitOption>(world, async (cli) => {
        const service = governanceClient(cli);
        const rows = await listed(cli, async (page) => {
          const { topics: entries, nextPageToken } = await service.listTopics({
            ...pick(cli),
            ...page,
          });
          return { entries, nextPageToken };
        });
        printRows(
          cli.output,
          rows.map(({ $typeName: _, ...row }) => ({
            ...row,
            deliveryClass: row.deliveryClass === DeliveryClass.DIRECT ? 'direct' : 'durable',
            durabilityMin: durabilityName(row.durabilityMin),
          })),
          {
            'TOPIC FILTER': ({ topicFilter }) => topicFilter,
            CLASS: ({ deliveryClass }) => deliveryClass,
            'RETENTION MS': ({ retentionMs }) => retentionMs,
            TYPES: ({ eventTypes }) => eventTypes.join(' ') || 'any',
            'MAX BYTES': ({ eventBytesMax }) => eventBytesMax,
            OWNER: ({ owner }) => owner,
            DESCRIPTION: ({ description }) => description,
          },
        );
      }),
    );
  tenanted(command.command('put <filter>'))
    .description('make or replace one')
    .option('--description <text>', 'what it is for')
    .option('--retention <time>', 'events end at this age, such as 12h', durationMs)
    .option('--type <type>', 'allowed event type; repeatable; default any', collect)
    .option('--event-bytes <n>', 'largest event', whole(1, 16_777_216))
    .option('--durability <class>', `at least: ${Object.keys(DURABILITY).join(', ')}`)
    .option('--direct', 'at most once unless the publisher says otherwise')
    .option('--owner <text>', 'people or team to ask')
    .action(action<TopicOptions, [string]>(world, putTopic));
  tenanted(command.command('delete <filter>'))
    .description('delete one')
    .action(
      action<TenantOption, [string]>(world, async (cli, topicFilter) => {
        await governanceClient(cli).deleteTopic({ ...pick(cli), topicFilter });
        cli.output.note(`${topicFilter} is deleted\n`);
      }),
    );
  return command;
}

async function putTopic(cli: Cli<TopicOptions>, topicFilter: string): Promise<void> {
  const { description = '', retention = 0, type = [], eventBytes = 0, owner = '' } = cli.options;
  const { durability, direct = false } = cli.options;
  const durabilityMin = durability === undefined ? 0 : DURABILITY[durability];
  if (durabilityMin === undefined) {
    const known = Object.keys(DURABILITY).join(', ');
    throw invalid('--durability', `"${durability}" is not one of ${known}`);
  }
  await governanceClient(cli).putTopic({
    topic: {
      ...pick(cli),
      topicFilter,
      description,
      deliveryClass: direct ? DeliveryClass.DIRECT : DeliveryClass.UNSPECIFIED,
      retentionMs: BigInt(retention),
      eventTypes: [...type],
      durabilityMin,
      eventBytesMax: BigInt(eventBytes),
      owner,
    },
  });
  cli.output.note(`${topicFilter} is stored\n`);
}

interface TypeOptions extends TenantOption {
  readonly schema?: string;
  readonly warn?: boolean;
  readonly description?: string;
}

function types(world: World): Command {
  const command = new Command('types').description('event types and their JSON Schemas');
  limited(tenanted(command.command('list', { isDefault: true })))
    .description('all of them (the default)')
    .action(
      action<TenantOption & LimitOption>(world, async (cli) => {
        const service = governanceClient(cli);
        const eventTypes = await listed(cli, async (page) => {
          const { eventTypes: entries, nextPageToken } = await service.listEventTypes({
            ...pick(cli),
            ...page,
          });
          return { entries, nextPageToken };
        });
        printRows(
          cli.output,
          eventTypes.map(({ $typeName: _, ...row }) => ({
            ...row,
            enforcement: row.enforcement === Enforcement.WARN ? 'warn' : 'refuse',
          })),
          {
            TYPE: ({ type }) => type,
            SCHEMA: ({ jsonSchema }) => (jsonSchema === '' ? 'none' : `${jsonSchema.length} bytes`),
            ENFORCEMENT: ({ enforcement }) => enforcement,
            DESCRIPTION: ({ description }) => description,
          },
        );
      }),
    );
  tenanted(command.command('put <type>'))
    .description('make or replace one')
    .option('--schema <file>', 'JSON Schema (draft 2020-12) that JSON data must satisfy')
    .option('--warn', 'accept, count and audit what does not satisfy it')
    .option('--description <text>', 'what it means')
    .action(action<TypeOptions, [string]>(world, putType));
  tenanted(command.command('delete <type>'))
    .description('delete one')
    .action(
      action<TenantOption, [string]>(world, async (cli, type) => {
        await governanceClient(cli).deleteEventType({ ...pick(cli), type });
        cli.output.note(`${type} is deleted\n`);
      }),
    );
  return command;
}

async function putType(cli: Cli<TypeOptions>, type: string): Promise<void> {
  const { schema, warn = false, description = '' } = cli.options;
  const enforcement = warn ? Enforcement.WARN : Enforcement.REFUSE;
  const jsonSchema = schema === undefined ? '' : readSchema(schema);
  await governanceClient(cli).putEventType({
    eventType: { ...pick(cli), type, jsonSchema, enforcement, description },
  });
  cli.output.note(`${type} is stored\n`);
}

function readSchema(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid('--schema', (error as Error).message);
  }
}

interface QuotaOptions extends TenantOption {
  readonly principal: string;
  readonly events: number;
  readonly bytes: number;
  readonly eventBytes: number;
  readonly subscriptions: number;
}

function quotas(world: World): Command {
  const any = whole(0, Number.MAX_SAFE_INTEGER);
  const principal = (verb: Command) =>
    tenanted(verb).option('--principal <name>', 'of one principal; default of the tenant', '');
  const command = new Command('quotas').description('limits of tenants and principals');
  limited(tenanted(command.command('list', { isDefault: true })))
    .description('all of them (the default)')
    .action(
      action<TenantOption & LimitOption>(world, async (cli) => {
        const service = governanceClient(cli);
        const rows = await listed(cli, async (page) => {
          const { quotas: entries, nextPageToken } = await service.listQuotas({
            ...pick(cli),
            ...page,
          });
          return { entries, nextPageToken };
        });
        printRows(
          cli.output,
          rows.map(({ $typeName: _, ...row }) => row),
          {
            TENANT: ({ tenant }) => tenant,
            PRINCIPAL: (row) => row.principal || 'all',
            'EVENTS/S': ({ eventsPerSecond }) => eventsPerSecond,
            'BYTES/S': ({ bytesPerSecond }) => bytesPerSecond,
            'MAX BYTES': ({ eventBytesMax }) => eventBytesMax,
            SUBSCRIPTIONS: ({ subscriptionsMax }) => subscriptionsMax,
          },
        );
      }),
    );
  principal(command.command('put'))
    .description('make or replace one; 0 is unlimited')
    .option('--events <n>', 'events a second', any, 0)
    .option('--bytes <n>', 'bytes a second', any, 0)
    .option('--event-bytes <n>', 'bytes of one event', any, 0)
    .option('--subscriptions <n>', 'subscriptions', any, 0)
    .action(
      action<QuotaOptions>(world, async (cli) => {
        const { options } = cli;
        await governanceClient(cli).putQuota({
          quota: {
            ...pick(cli),
            principal: options.principal,
            eventsPerSecond: BigInt(options.events),
            bytesPerSecond: BigInt(options.bytes),
            eventBytesMax: BigInt(options.eventBytes),
            subscriptionsMax: BigInt(options.subscriptions),
          },
        });
        cli.output.note('the quota is stored\n');
      }),
    );
  principal(command.command('delete'))
    .description('delete one')
    .action(
      action<QuotaOptions>(world, async (cli) => {
        await governanceClient(cli).deleteQuota({ ...pick(cli), principal: cli.options.principal });
        cli.output.note('the quota is deleted\n');
      }),
    );
  return command;
}

const pick = ({ options }: Cli<TenantOption>): { tenant: string } => ({ tenant: options.tenant });
