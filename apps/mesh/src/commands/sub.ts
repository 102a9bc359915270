import { Command, Option } from 'commander';
import { invalid } from '@eventmesh/errors';
import { START_FORMS, type Delivery } from '@eventmesh/sdk';
import {
  action,
  collect,
  durationMs,
  durationUpTo,
  examples,
  sizeUpTo,
  whole,
  type Cli,
  type World,
} from '../cli/cli.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { printable, toJson } from '../cli/output.ts';
import { eventJson, utf8 } from './event-json.ts';
import { toSpec, type SpecOptions } from './filters.ts';

interface SubOptions extends SpecOptions {
  readonly name?: string;
  readonly count?: number;
  readonly timeout?: number;
  readonly credit: number;
  readonly creditBytes?: number;
  readonly converge: number;
}

export const CREDIT_BYTES_OPTION = [
  '--credit-bytes <size>',
  'bytes of events in flight, such as 1MiB, at most 1024GiB; an event that is larger still ' +
    'comes; default: only --credit bounds',
  sizeUpTo('1024GiB'),
] as const;

export function subCommand(world: World): Command {
  const command = new Command('sub')
    .summary('consume events')
    .description(
      'Consumes and prints events until it is interrupted; each is accepted once it is printed. ' +
        'With --name the subscription is durable and goes on where it left off.',
    )
    .argument('[filters...]', 'topic filters; `+` is one level, `#` all below')
    .option('--name <name>', 'durable subscription; made when missing')
    .option('--filter <filter>', 'CloudEvents filter; repeatable, all must hold', collect)
    .option('--from <start>', START_FORMS)
    .option('--direct', 'direct events, at most once')
    .option('--exclusive', 'refuse a second consumer')
    .option('--broadcast', 'each consumer gets every event')
    .option('--ordered', 'events of one key one after the other')
    .option('-n, --count <n>', 'stop after this many', whole(1, 1_000_000_000))
    .option(
      '--timeout <time>',
      'stop after this time, at most 24d; with --count a failure then',
      durationUpTo('24d'),
    )
    .option('--credit <n>', 'events in flight', whole(1, 65_536), 256)
    .option(...CREDIT_BYTES_OPTION)
    .addOption(
      new Option('--converge <time>', 'wait for the other sites to know, at most')
        .argParser(durationMs)
        .default(2000, '2s'),
    )
    .action(action<SubOptions, [readonly string[]]>(world, consume));
  return examples(command, {
    "mesh sub 'orders/#' --site east": 'whatever is published to orders, at another site',
    "mesh sub 'orders/#' --name billing --from earliest": 'a durable subscription, from the start',
    "mesh sub '#' --filter prefix:type=com.github. --filter '!exact:subject=test'":
      'with CloudEvents filters',
    "mesh sub 'orders/#' -n 10 --timeout 30s -o json": 'ten events as JSON lines, for a script',
  });
}

async function consume(cli: Cli<SubOptions>, topicFilters: readonly string[]): Promise<void> {
  const { options, output, connection, world } = cli;
  if (topicFilters.length === 0 && options.name === undefined) {
    throw invalid('filters', "name at least one topic filter, such as 'orders/#', or --name");
  }
  const timeout = options.timeout === undefined ? undefined : AbortSignal.timeout(options.timeout);
  const subscriber = connection.client().subscribe({
    subscription:
      topicFilters.length === 0 && options.name !== undefined
        ? options.name
        : toSpec(options.name ?? '', topicFilters, options),
    credit: Math.min(options.credit, options.count ?? options.credit),
    ...(options.creditBytes === undefined ? {} : { creditBytes: options.creditBytes }),
    convergeMs: options.converge,
    onGap: ({ partition, fromPosition, toPosition, reason }) =>
      output.note(`gap: partition ${partition}, ${fromPosition} to ${toPosition}: ${reason}\n`),
    onRefused: ({ ids, reason }) =>
      output.note(`${ids.length} settled in vain, they come again: ${reason}\n`),
  });
  const stop = () => subscriber.close();
  for (const signal of [world.interrupted, timeout]) signal?.addEventListener('abort', stop);
  if (world.interrupted.aborted) return;
  subscriber.opened.then(
    ({ subscription, convergedSites, unreachableSites }) => {
      const at = convergedSites.length === 0 ? '' : `; known at ${convergedSites.join(', ')}`;
      const not = unreachableSites.length === 0 ? '' : `; not at ${unreachableSites.join(', ')}`;
      output.note(`subscribed as ${subscription?.name ?? ''}${at}${not}\n`);
    },
    () => undefined,
  );
  let received = 0;
  for await (const delivery of subscriber) {
    // Past the last one wanted: not accepted, so that it goes to the next consumer.
    if (received === options.count) continue;
    output.write(output.json ? `${toJson(deliveryJson(delivery))}\n` : deliveryText(delivery));
    delivery.accept();
    // Closing, rather than leaving the loop, lets the last acceptance through.
    if (++received === options.count) subscriber.close();
  }
  if (options.count !== undefined && received < options.count && timeout?.aborted === true) {
    output.note(`${received} of ${options.count} came in time\n`);
    world.exit(EXIT.failed);
  }
}

export function deliveryJson(delivery: Delivery): Record<string, unknown> {
  const { topic, partition, position, attempt, originSite, ingressTimeUs } = delivery;
  const event = eventJson(delivery.event);
  return { topic, partition, position, attempt, originSite, ingressTimeUs, event };
}

const DATA_SHOWN = 200;

/** One line: time, topic, type, key and the beginning of the data. */
export function deliveryText(delivery: Delivery): string {
  const { event, topic, originSite, ingressTimeUs, attempt } = delivery;
  const time = new Date(ingressTimeUs / 1000).toISOString().slice(11, 23);
  const key = event.text('partitionkey');
  const bytes = event.data?.bytes ?? new Uint8Array();
  const text = utf8(bytes) ?? `${bytes.length} bytes ${event.text('datacontenttype') ?? ''}`;
  const shown = text.length > DATA_SHOWN ? `${text.slice(0, DATA_SHOWN)}…` : text;
  const parts = [
    time,
    originSite,
    topic,
    event.type,
    ...(key === undefined ? [] : [`key=${key}`]),
    ...(attempt === 1 ? [] : [`attempt=${attempt}`]),
    shown.replaceAll('\n', ' '),
  ];
  return `${printable(parts.join('  '))}\n`;
}
