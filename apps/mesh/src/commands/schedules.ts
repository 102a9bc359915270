import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { MeshError, invalid } from '@eventmesh/errors';
import { DeliveryClass, LatePolicy } from '@eventmesh/proto-gen/event';
import type { Schedule } from '@eventmesh/proto-gen/governance';
import { ScheduledEventService } from '@eventmesh/proto-gen/publisher';
import { PAGE_SIZE_MAX, createClient, everyEntry } from '@eventmesh/rpc';
import { action, collect, examples, whole, type Cli, type World } from '../cli/cli.ts';
import { printFields, printRows } from '../cli/output.ts';
import { limited, listed, type LimitOption } from '../cli/paging.ts';
import { governanceClient } from './audit.ts';
import { guessContentType, readAttributes } from './pub.ts';

interface TenantOption {
  readonly tenant: string;
}

interface CreateOptions extends TenantOption {
  readonly zone: string;
  readonly type: string;
  readonly source: string;
  readonly key?: string;
  readonly attribute?: readonly string[];
  readonly file?: string;
  readonly contentType?: string;
  readonly direct?: boolean;
  readonly late: keyof typeof LATE;
  readonly paused?: boolean;
  readonly description: string;
}

const LATE = Object.freeze({
  fire: LatePolicy.FIRE,
  skip: LatePolicy.SKIP,
  'dead-letter': LatePolicy.DEAD_LETTER,
});

export function schedulesCommand(world: World): Command {
  const command = new Command('schedules')
    .summary('events by the calendar, and events that wait')
    .description('Schedules publish an event again and again; pending events wait for their time.');
  limited(tenanted(command.command('list', { isDefault: true })))
    .description('all schedules (the default)')
    .action(action<TenantOption & LimitOption>(world, list));
  tenanted(command.command('get <name>'))
    .description('one of them, whole')
    .action(action<TenantOption, [string]>(world, get));
  addCreate(command, world);
  for (const paused of [true, false]) {
    tenanted(command.command(`${paused ? 'pause' : 'resume'} <name>`))
      .description(paused ? 'stop it' : 'let it go on; what came due meanwhile is not made up for')
      .action(
        action<TenantOption, [string]>(world, async (cli, name) => {
          await governanceClient(cli).pauseSchedule({ ...pick(cli), name, paused });
          cli.output.note(`${name} is ${paused ? 'paused' : 'running'}\n`);
        }),
      );
  }
  tenanted(command.command('delete <name>'))
    .description('delete it')
    .action(
      action<TenantOption, [string]>(world, async (cli, name) => {
        await governanceClient(cli).deleteSchedule({ ...pick(cli), name });
        cli.output.note(`${name} is deleted\n`);
      }),
    );
  tenanted(command.command('next <name>'))
    .description('when it comes due next, and what changes of clock do to it')
    .option('-n, --count <n>', 'so many times', whole(1, 100), 5)
    .action(action<TenantOption & { count: number }, [string]>(world, next));
  command
    .command('pending')
    .description('events that wait for their time, the first ones due')
    .option('-n, --count <n>', 'at most so many', whole(1, 1000), 100)
    .action(action<{ count: number }>(world, pending));
  command
    .command('cancel <id>')
    .description('take an event back that waits for its time')
    .option('-s, --source <uri>', 'CloudEvents source, when several have such an event', '')
    .action(
      action<{ source: string }, [string]>(world, async (cli, id) => {
        const { source } = cli.options;
        const { cancelled } = await scheduled(cli).cancelScheduledEvent({ id, source });
        printFields(cli.output, { cancelled });
      }),
    );
  return examples(command, {
    "mesh schedules create report '0 8 * * 1-5' reports/daily --zone Europe/Berlin":
      'at eight on weekdays',
    'mesh schedules next report': 'when that will be',
    'mesh schedules pending': 'events published with --at or --after that still wait',
    'mesh schedules cancel 4711': 'take one of them back',
  });
}

function addCreate(command: Command, world: World): void {
  tenanted(command.command('create <name> <cron> <topic> [data]'))
    .description('make one, or replace it; it publishes as you')
    .option('-z, --zone <zone>', 'IANA time zone', 'UTC')
    .option('-t, --type <type>', 'CloudEvents type', 'eventmesh.schedule')
    .option('-s, --source <uri>', 'CloudEvents source; default /schedules/NAME', '')
    .option('-k, --key <key>', 'order key (partitionkey)')
    .option('-a, --attribute <name=value>', 'further attribute; repeatable', collect)
    .option('-f, --file <path>', 'take the data from a file')
    .option('--content-type <type>', 'datacontenttype; default by looking at the data')
    .option('--direct', 'at most once, without the store')
    .addOption(
      new Option('--late <policy>', 'what becomes of occurrences that a stop has made late')
        .choices(Object.keys(LATE))
        .default('fire'),
    )
    .option('--paused', 'make it, but do not let it run yet')
    .option('--description <text>', 'what it is for', '')
    .action(action<CreateOptions, [string, string, string, string | undefined]>(world, create));
}

const tenanted = (command: Command): Command =>
  command.option('--tenant <tenant>', 'tenant', 'default');
const pick = ({ options }: Cli<TenantOption>): { tenant: string } => ({ tenant: options.tenant });
const scheduled = ({ connection }: Cli<unknown>) =>
  createClient(ScheduledEventService, connection.transport('grpc'));

async function list(cli: Cli<TenantOption & LimitOption>): Promise<void> {
  const schedules = await listed(cli, pages(cli));
  printRows(
    cli.output,
    schedules.map(shown),
    {
      NAME: ({ name }) => name,
      CRON: ({ cron }) => cron,
      ZONE: ({ timeZone }) => timeZone,
      TOPIC: ({ topic }) => topic,
      AS: ({ owner }) => owner,
      LATE: ({ latePolicy }) => latePolicy,
      STATE: ({ paused }) => (paused ? 'paused' : 'running'),
    },
    'no schedules',
  );
}

/** Asks for a page of the schedules. */
function pages(cli: Cli<TenantOption>) {
  const service = governanceClient(cli);
  return async (page: { readonly pageSize: number; readonly pageToken: string }) => {
    const { schedules, nextPageToken } = await service.listSchedules({ ...pick(cli), ...page });
    return { entries: schedules, nextPageToken };
  };
}

async function find(cli: Cli<TenantOption>, wanted: string): Promise<Schedule> {
  const ask = pages(cli);
  const all = everyEntry((pageToken) => ask({ pageSize: PAGE_SIZE_MAX, pageToken }));
  for await (const schedule of all) {
    if (schedule.name === wanted) return schedule;
  }
  throw new MeshError('NotFound', `there is no schedule "${wanted}"`, { field: 'name' });
}

async function get(cli: Cli<TenantOption>, name: string): Promise<void> {
  printFields(cli.output, shown(await find(cli, name)));
}

function shown({ $typeName: _, event, latePolicy, deliveryClass, ...schedule }: Schedule) {
  return {
    ...schedule,
    deliveryClass: deliveryClass === DeliveryClass.DIRECT ? 'direct' : 'durable',
    latePolicy: lateName(latePolicy),
    type: event?.type,
    source: event?.source,
    attributes: event?.attributes,
    data: event?.data.case === 'text' ? event.data.value : event?.data.value?.length,
  };
}

async function create(
  cli: Cli<CreateOptions>,
  name: string,
  cron: string,
  topic: string,
  text: string | undefined,
): Promise<void> {
  const { options } = cli;
  const data = dataOf(options, text);
  const contentType =
    data === undefined ? undefined : (options.contentType ?? guessContentType(Buffer.from(data)));
  const { schedule } = await governanceClient(cli).putSchedule({
    schedule: {
      ...pick(cli),
      name,
      cron,
      topic,
      timeZone: options.zone,
      description: options.description,
      event: {
        type: options.type,
        source: options.source,
        attributes: {
          ...readAttributes(options.attribute),
          ...(options.key === undefined ? {} : { partitionkey: options.key }),
          ...(contentType === undefined ? {} : { datacontenttype: contentType }),
        },
        ...(data === undefined ? {} : { data: { case: 'text' as const, value: data } }),
      },
      deliveryClass: options.direct === true ? DeliveryClass.DIRECT : DeliveryClass.DURABLE,
      latePolicy: LATE[options.late],
      paused: options.paused === true,
    },
  });
  cli.output.note(`${name} is stored\n`);
  if (schedule !== undefined) await tellNext(cli, schedule, 3);
}

function dataOf({ file }: CreateOptions, text: string | undefined): string | undefined {
  if (file === undefined) return text;
  if (text !== undefined) throw invalid('--file', 'give either the data or a file');
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid('--file', (error as Error).message);
  }
}

async function next(cli: Cli<TenantOption & { count: number }>, name: string): Promise<void> {
  await tellNext(cli, await find(cli, name), cli.options.count);
}

async function tellNext(cli: Cli<TenantOption>, schedule: Schedule, count: number): Promise<void> {
  const { cron, timeZone } = schedule;
  const asked = { ...pick(cli), cron, timeZone, count };
  const { timesMs, warnings } = await governanceClient(cli).previewSchedule(asked);
  const rows = timesMs.map((ms) => ({ due: new Date(Number(ms)) }));
  printRows(cli.output, rows, {
    DUE: ({ due }) => due.toISOString(),
    LOCAL: ({ due }) => due.toLocaleString('sv-SE', { timeZone, timeZoneName: 'short' }),
  });
  for (const warning of warnings) cli.output.note(`warning: ${warning}\n`);
}

async function pending(cli: Cli<{ count: number }>): Promise<void> {
  const { events, pending: count } = await scheduled(cli).listScheduledEvents({
    pageSize: cli.options.count,
  });
  printRows(
    cli.output,
    events.map(({ $typeName: _, ...row }) => row),
    {
      DUE: ({ deliverAtMs }) => new Date(Number(deliverAtMs)).toISOString(),
      ID: ({ id }) => id,
      TOPIC: ({ topic }) => topic,
      TYPE: ({ type }) => type,
      AS: ({ principal }) => principal,
      LATE: ({ latePolicy }) => lateName(latePolicy),
    },
    'no event waits for its time',
  );
  if (Number(count) > events.length) cli.output.note(`${count} events wait in all\n`);
}

const lateName = (policy: LatePolicy): string =>
  Object.entries(LATE).find(([, known]) => known === policy)?.[0] ?? 'fire';
