import { Command } from 'commander';
import { MeshError } from '@eventmesh/errors';
import { SubscriberService, type ReplayStatus } from '@eventmesh/proto-gen/subscriber';
import { createClient } from '@eventmesh/rpc';
import {
  START_FORMS,
  replayToProto,
  startFromText,
  timeFromText,
  type ReplayInput,
} from '@eventmesh/sdk';
import { action, examples, whole, type Cli, type World } from '../cli/cli.ts';
import { printFields, printRows, toJson, type Columns } from '../cli/output.ts';
import { CREDIT_BYTES_OPTION, deliveryJson, deliveryText } from './sub.ts';

interface PartOptions {
  readonly from: string;
  readonly to?: string;
  readonly expired?: boolean;
}

interface RunOptions extends PartOptions {
  readonly rate: number;
  readonly credit: number;
  readonly creditBytes?: number;
}

/** A preview reads as much as its replay does. */
const PREVIEW_MS_MAX = 3_600_000;

const client = ({ connection }: Cli<unknown>) =>
  createClient(SubscriberService, connection.transport('grpc'));

export function replayCommand(world: World): Command {
  const command = new Command('replay')
    .summary('deliver a part of the past again')
    .description(
      "Replays a part of a subscription's past beside its live deliveries, which neither notice nor move.",
    );
  const part = (verb: string, about: string) =>
    command
      .command(`${verb} <subscription>`)
      .description(about)
      .option('--from <start>', START_FORMS, 'earliest')
      .option('--to <time>', 'up to events stored before this time; default: what is stored now')
      .option('--expired', 'with events whose life has ended');
  part('preview', 'what it would deliver: events, bytes and gaps').action(
    action<PartOptions, [string]>(world, preview),
  );
  part('run', 'deliver and print it; each event is accepted once it is printed')
    .option('--rate <n>', 'events a second at most', whole(0, 1_000_000), 0)
    .option('--credit <n>', 'events in flight', whole(1, 65_536), 256)
    .option(...CREDIT_BYTES_OPTION)
    .action(action<RunOptions, [string]>(world, run));
  command
    .command('list [subscription]')
    .description('replays that are open at this site')
    .action(action<object, [string | undefined]>(world, list));
  command
    .command('stop <id>')
    .description('end one of them; its consumer is told')
    .action(action<object, [string]>(world, stop));
  return examples(command, {
    'mesh replay preview billing --from 2026-05-01T12:00:00Z': 'what a replay would deliver',
    'mesh replay run billing --from 2026-05-01T12:00:00Z --to 2026-05-01T13:00:00Z --rate 100':
      'an hour of the past, 100 events a second',
    'mesh replay run billing --from 0:41 -o json': 'from a position of partition 0 on, as JSON',
    'mesh replay list': 'who replays now',
  });
}

const replayOf = ({ from, to, expired = false }: PartOptions, rateMax = 0): ReplayInput => ({
  from: startFromText(from, '--from'),
  ...(to === undefined ? {} : { toMs: timeFromText(to, '--to') }),
  rateMax,
  expired,
});

async function preview(cli: Cli<PartOptions>, name: string): Promise<void> {
  const replay = replayToProto(replayOf(cli.options));
  const signal = cli.world.interrupted;
  const answer = await client(cli).previewReplay(
    { name, replay },
    { timeoutMs: PREVIEW_MS_MAX, signal },
  );
  const { events, bytes, considered, expired } = answer;
  const gaps = answer.gaps.map(({ partition, fromPosition: from, toPosition: to }) => {
    return { partition, from, to };
  });
  printFields(cli.output, { events, bytes, considered, expired, gaps });
}

async function run(cli: Cli<RunOptions>, subscription: string): Promise<void> {
  const { options, output, connection, world } = cli;
  const subscriber = connection.client().subscribe({
    subscription,
    replay: replayOf(options, options.rate),
    credit: options.credit,
    ...(options.creditBytes === undefined ? {} : { creditBytes: options.creditBytes }),
    onGap: ({ partition, fromPosition, toPosition }) =>
      output.note(`gap: partition ${partition}, ${fromPosition} to ${toPosition} are gone\n`),
  });
  world.interrupted.addEventListener('abort', () => subscriber.close());
  if (world.interrupted.aborted) return;
  subscriber.opened.then(
    ({ replayId }) => output.note(`replay ${replayId} of ${subscription}\n`),
    () => undefined,
  );
  let events = 0;
  try {
    for await (const delivery of subscriber) {
      output.write(output.json ? `${toJson(deliveryJson(delivery))}\n` : deliveryText(delivery));
      delivery.accept();
      events++;
    }
  } catch (thrown) {
    if (MeshError.from(thrown).reason !== 'REPLAY_STOPPED') throw thrown;
    output.note(`${MeshError.from(thrown).message}\n`);
  }
  output.note(`${events} events\n`);
}

const COLUMNS: Columns<ReplayStatus> = {
  ID: ({ id }) => id,
  SUBSCRIPTION: ({ subscription }) => subscription,
  CONSUMER: ({ consumer }) => consumer,
  DELIVERED: ({ delivered }) => delivered,
  FILTERED: ({ filtered }) => filtered,
  EXPIRED: ({ expired }) => expired,
  DROPPED: ({ dropped }) => dropped,
  LAG: ({ lag }) => lag,
  RATE: ({ rateMax }) => (rateMax === 0 ? 'any' : rateMax),
  SINCE: ({ startedMs }) => new Date(Number(startedMs)).toISOString(),
};

async function list(cli: Cli<object>, name = ''): Promise<void> {
  const { replays } = await client(cli).listReplays({ name });
  const rows = replays.map(({ $typeName: _, ...status }) => status as ReplayStatus);
  printRows(cli.output, rows, COLUMNS, 'no replays at this site');
}

async function stop(cli: Cli<object>, id: string): Promise<void> {
  await client(cli).stopReplay({ id });
  cli.output.note(`replay ${id} is stopped\n`);
}
