import type { MessageInitShape } from '@bufbuild/protobuf';
import { Command } from 'commander';
import { invalid } from '@eventmesh/errors';
import { EventView, timestampText } from '@eventmesh/event';
import {
  DeadLetterService,
  type DeadLetter,
  type Group,
  type SelectionSchema,
} from '@eventmesh/proto-gen/deadletter';
import { createClient } from '@eventmesh/rpc';
import { action, collect, examples, whole, type Cli, type World } from '../cli/cli.ts';
import { printFields, printRows, type Columns } from '../cli/output.ts';
import { listed } from '../cli/paging.ts';
import { eventJson } from './event-json.ts';

type Selection = MessageInitShape<typeof SelectionSchema>;

interface SelectionOptions {
  readonly subscription?: string;
  readonly cause?: string;
  readonly id?: readonly string[];
  readonly all?: boolean;
}

const client = ({ connection }: Cli<unknown>) =>
  createClient(DeadLetterService, connection.transport('grpc'));

export function dlqCommand(world: World): Command {
  const command = new Command('dlq')
    .summary('dead letters: look, give back, forget')
    .description('Events that a subscription gave up, kept at its site with the cause.');
  selecting(
    command.command('list', { isDefault: true }).description('dead letters, the oldest first'),
  )
    .option('--limit <n>', 'most of them', whole(1, 1_000_000), 100)
    .action(action<SelectionOptions & { readonly limit: number }>(world, list));
  command
    .command('get <id>')
    .description('one of them, with its event')
    .action(action<object, [string]>(world, get));
  selecting(
    command.command('groups').description('how many there are by subscription and cause'),
  ).action(action<SelectionOptions>(world, groups));
  command
    .command('status')
    .description('how many there are in all, and the quota')
    .action(action(world, status));
  changing(
    command
      .command('redrive')
      .description(
        'give events back to the subscription that gave them up, or to one made again under its name; publish scheduled ones that came too late',
      ),
  )
    .option('--rate <n>', 'events a second at most; 0 is no limit', whole(0, 1_000_000), 0)
    .action(action<SelectionOptions & { readonly rate: number }>(world, redrive));
  changing(command.command('purge').description('forget dead letters for good')).action(
    action<SelectionOptions>(world, purge),
  );
  return examples(command, {
    'mesh dlq groups': 'what went wrong, and how often',
    'mesh dlq list --subscription billing': 'dead letters of one subscription',
    'mesh dlq get 17': 'one of them, with the cause and the event',
    'mesh dlq redrive --subscription billing --rate 50': 'all of them again, 50 a second',
    'mesh dlq redrive --id 17 --id 18': 'just these',
    "mesh dlq purge --cause 'no such customer'": 'what will never succeed',
  });
}

const selecting = (command: Command): Command =>
  command
    .option('--subscription <name>', 'of this subscription; of a broadcast, those of all its parts')
    .option('--cause <text>', 'of exactly this cause')
    .option('--id <id>', 'with this id; repeatable', collect);

const changing = (command: Command): Command =>
  selecting(command).option('--all', 'every dead letter; needed when nothing else is given');

function toSelection({ subscription, cause, id = [], all = false }: SelectionOptions): Selection {
  return {
    ...(subscription === undefined ? {} : { subscription }),
    ...(cause === undefined ? {} : { cause }),
    ids: id.map((text) => toId(text, '--id')),
    all,
  };
}

function toId(text: string, field: string): bigint {
  if (/^[1-9]\d{0,14}$/.test(text)) return BigInt(text);
  throw invalid(field, `"${text}" is not the id of a dead letter, a whole number from 1`);
}

const timeOf = (ms: bigint): string =>
  ms === 0n ? '-' : timestampText(Math.floor(Number(ms) / 1000), 0);

/** There may be another one of this name, which did not give it up. */
const nameOf = ({
  subscription,
  subscriptionGone,
}: Pick<DeadLetter, 'subscription' | 'subscriptionGone'>): string =>
  subscriptionGone ? `${subscription} (gone)` : subscription;

const COLUMNS: Columns<DeadLetter> = {
  ID: ({ id }) => id,
  SUBSCRIPTION: nameOf,
  CAUSE: ({ cause }) => cause,
  TOPIC: ({ topic }) => topic,
  EVENT: ({ eventId }) => eventId,
  ATTEMPTS: ({ attempts }) => attempts,
  REDRIVES: ({ redrives }) => redrives,
  DIED: ({ deadMs }) => timeOf(deadMs),
};

async function list(cli: Cli<SelectionOptions & { readonly limit: number }>): Promise<void> {
  const selection = toSelection(cli.options);
  const service = client(cli);
  const rows = await listed(cli, async (page) => {
    const { deadLetters: entries, nextPageToken } = await service.list({ selection, ...page });
    return { entries, nextPageToken };
  });
  if (cli.output.json) printRows(cli.output, rows.map(view), {});
  else printRows(cli.output, rows, COLUMNS, 'no dead letters');
}

async function get(cli: Cli<object>, id: string): Promise<void> {
  const { deadLetter } = await client(cli).get({ id: toId(id, 'id') });
  if (deadLetter !== undefined) printFields(cli.output, view(deadLetter));
}

/** Without the wire's own fields, and with the event in the CloudEvents JSON format. */
function view(letter: DeadLetter) {
  const { $typeName: _, $unknown: __, event, deadMs, subscriptionCreatedMs, ...shown } = letter;
  const subscriptionCreated = timeOf(subscriptionCreatedMs);
  const times = { subscriptionCreated, died: timeOf(deadMs) };
  return { ...shown, ...times, event: eventJson(new EventView(event)) };
}

async function groups(cli: Cli<SelectionOptions>): Promise<void> {
  const found = (await client(cli).groups({ selection: toSelection(cli.options) })).groups;
  const rows = found.map(({ $typeName: _, $unknown: __, ...group }) => group);
  const columns: Columns<Omit<Group, '$typeName' | '$unknown'>> = {
    SUBSCRIPTION: (group) => (group.subscription + group.cause === '' ? '(others)' : nameOf(group)),
    CAUSE: ({ cause }) => cause,
    COUNT: ({ count }) => count,
    BYTES: ({ bytes }) => bytes,
    FIRST: ({ oldestMs }) => timeOf(oldestMs),
    LAST: ({ newestMs }) => timeOf(newestMs),
  };
  printRows(cli.output, rows, columns, 'no dead letters');
}

async function status(cli: Cli<object>): Promise<void> {
  const { $typeName: _, $unknown: __, oldestMs, ...found } = await client(cli).status({});
  printFields(cli.output, { ...found, oldest: timeOf(oldestMs) });
}

async function redrive(cli: Cli<SelectionOptions & { readonly rate: number }>): Promise<void> {
  const { rate: rateMax } = cli.options;
  const service = client(cli);
  const selection = toSelection(cli.options);
  const total = { redriven: 0n, missing: 0n, unmatched: 0n, forbidden: 0n };
  await inPieces(cli, async (pageToken) => {
    const answer = await service.redrive({ selection, rateMax, pageToken });
    total.redriven += answer.redriven;
    total.missing += answer.missing;
    total.unmatched += answer.unmatched;
    total.forbidden += answer.forbidden;
    return { nextPageToken: answer.nextPageToken, progress: `${total.redriven} redriven` };
  });
  const { redriven, ...staying } = total;
  const some = STAYING.filter(({ why }) => staying[why] > 0n);
  const counts = Object.fromEntries(some.map(({ why }) => [why, staying[why]]));
  printFields(cli.output, { redriven, ...counts });
  for (const { why, note } of some) cli.output.note(`${why}: ${note}\n`);
}

/** Why letters were not redriven, and what can be done. */
const STAYING = [
  {
    why: 'missing',
    note: 'no durable subscription of their name is there to take them; make it again, or purge them',
  },
  {
    why: 'unmatched',
    note: 'the topic filters or filters of their subscription do not match them; update it, or purge them',
  },
  {
    why: 'forbidden',
    note: "their subscription's owner may not receive their topic, or, scheduled, their publisher or you may not publish to it",
  },
] as const;

async function purge(cli: Cli<SelectionOptions>): Promise<void> {
  const service = client(cli);
  const selection = toSelection(cli.options);
  let purged = 0n;
  await inPieces(cli, async (pageToken) => {
    const answer = await service.purge({ selection, pageToken });
    purged += answer.purged;
    return { nextPageToken: answer.nextPageToken, progress: `${purged} purged` };
  });
  printFields(cli.output, { purged });
}

/** Repeats a call that works in pieces, tells how far it is, and stops between two of them. */
async function inPieces(
  { output, world }: Cli<unknown>,
  call: (pageToken: string) => Promise<{ nextPageToken: string; progress: string }>,
): Promise<void> {
  for (let token = '', more = true; more; more = token !== '') {
    const { nextPageToken, progress } = await call(token);
    token = nextPageToken;
    if (token === '') return;
    output.note(`${progress} so far\n`);
    if (!world.interrupted.aborted) continue;
    output.note('interrupted; what is done stays done\n');
    return;
  }
}
