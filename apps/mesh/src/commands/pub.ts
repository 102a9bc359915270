import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Command, InvalidArgumentError, Option } from 'commander';
import { invalid } from '@eventmesh/errors';
import { parseTimestamp } from '@eventmesh/event';
import type { EventLike, PublishOptions } from '@eventmesh/sdk';
import {
  action,
  collect,
  durationMs,
  durationUpTo,
  examples,
  whole,
  type Cli,
  type World,
} from '../cli/cli.ts';
import { printRows, toJson } from '../cli/output.ts';
import { utf8 } from './event-json.ts';
import { publishMany, type Published } from './pub-many.ts';

export interface PubOptions {
  readonly file?: string;
  readonly lines?: boolean;
  readonly type: string;
  readonly source: string;
  readonly id?: string;
  readonly subject?: string;
  readonly key?: string;
  readonly contentType?: string;
  readonly attribute?: readonly string[];
  readonly direct?: boolean;
  readonly expires?: number;
  readonly at?: Date;
  readonly after?: number;
  readonly late?: 'fire' | 'skip' | 'dead-letter';
  readonly count: number;
}

export function pubCommand(world: World): Command {
  const command = new Command('pub')
    .summary('publish events')
    .description('Publishes an event, and prints its receipt once the store has it.')
    .argument('<topic>', 'topic to publish to, such as orders/eu/new')
    .argument('[data]', 'the data; `-` reads standard input')
    .option('-f, --file <path>', 'take the data from a file')
    .option('--lines', 'each line of standard input is the data of an event')
    .option('-t, --type <type>', 'CloudEvents type', 'eventmesh.message')
    .option('-s, --source <uri>', 'CloudEvents source', '/mesh/cli')
    .option('--id <id>', 'CloudEvents id; default a new one')
    .option('--subject <subject>', 'CloudEvents subject')
    .option('-k, --key <key>', 'order key (partitionkey)')
    .option('--content-type <type>', 'datacontenttype; default by looking at the data')
    .option('-a, --attribute <name=value>', 'further attribute; repeatable', collect)
    .option('--direct', 'at most once, without the store')
    .option('--expires <time>', 'life of the event, such as 30s', durationUpTo())
    .option(
      '--at <time>',
      'publish it not before this time (RFC 3339), at most 366 days ahead',
      timeOf,
    )
    .option('--after <time>', 'publish it not before so long from now, such as 15m', durationMs)
    .addOption(
      new Option('--late <policy>', 'when its time has passed long since, as after a stop').choices(
        [...['fire', 'skip', 'dead-letter']],
      ),
    )
    .option('-n, --count <n>', 'publish it this many times', whole(1, 1_000_000), 1)
    .action(action<PubOptions, [string, string | undefined]>(world, publish));
  return examples(command, {
    'mesh pub orders/eu/new \'{"order":1}\'': 'publish JSON',
    'mesh pub orders/eu/new --file order.json --type com.example.order --key customer-7':
      'from a file, with a type and an order key',
    'tail -f app.log | mesh pub logs/app --lines': 'an event for each line',
    'mesh pub reminders/ann "call back" --after 2h': 'later',
    'mesh pub telemetry/car-1 22.5 --direct --expires 5s': 'at most once, short-lived',
  });
}

async function publish(
  cli: Cli<PubOptions>,
  topic: string,
  data: string | undefined,
): Promise<void> {
  const { options, output, connection } = cli;
  const publishing: PublishOptions = {
    ...(options.direct === true ? { deliveryClass: 'direct' } : {}),
    ...(options.expires === undefined ? {} : { expiresAfterMs: options.expires }),
    ...(options.at === undefined ? {} : { deliverAt: options.at }),
    ...(options.after === undefined ? {} : { deliverAfterMs: options.after }),
    ...(options.late === undefined ? {} : { latePolicy: options.late }),
  };
  const client = connection.client();
  const single = options.count === 1 && options.lines !== true;
  if (single) {
    const event = toEvent(options, await dataOf(options, data));
    const receipt = await client.publish(topic, event, publishing);
    print(cli, [{ id: event.id, topic, receipt }]);
    return;
  }
  if (options.id !== undefined) throw invalid('--id', 'several events cannot share an id');
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  cli.world.interrupted.addEventListener('abort', interrupt, { once: true });
  if (cli.world.interrupted.aborted) interrupt();
  const { published, sent, refused } = await publishMany(
    client.publisher(),
    topic,
    eachEvent(options, data, stop.signal),
    publishing,
    (one) => {
      if (output.json) output.write(`${toJson(one)}\n`);
    },
    stop,
  );
  if (!output.json) output.write(`${publishedText(published, sent)} to ${topic}\n`);
  if (refused !== undefined) throw refused;
}

const publishedText = (done: number, asked: number): string =>
  done === asked ? `${done} events published` : `${done} of ${asked} events published`;

function timeOf(text: string): Date {
  try {
    const { seconds, nanos } = parseTimestamp(text, '--at');
    return new Date(seconds * 1000 + Math.floor(nanos / 1_000_000));
  } catch {
    throw new InvalidArgumentError(
      'write a time that exists in RFC 3339, as in 2027-01-01T08:00:00Z.',
    );
  }
}

export async function dataOf(options: PubOptions, data: string | undefined): Promise<Uint8Array> {
  if (options.file !== undefined && data !== undefined) {
    throw invalid('--file', 'give either the data or a file');
  }
  if (options.file !== undefined) return readData(options.file);
  if (data !== undefined && data !== '-') return Buffer.from(data);
  if (data === undefined && process.stdin.isTTY) return new Uint8Array();
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function readData(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid('--file', (error as Error).message);
  }
}

/** The events of the data, one after the other, until the signal says that no more are wanted. */
async function* eachEvent(
  options: PubOptions,
  data: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<EventLike> {
  if (options.lines === true) {
    for await (const line of createInterface({ input: process.stdin, signal })) {
      yield toEvent(options, Buffer.from(line));
    }
    return;
  }
  const bytes = await dataOf(options, data);
  for (let n = 0; n < options.count; n++) yield toEvent(options, bytes);
}

const ATTRIBUTE = /^([a-z0-9]{1,20})=(.*)$/s;

/** Attributes that were given as `name=value`. */
export function readAttributes(pairs: readonly string[] = []): Record<string, string> {
  const extensions: Record<string, string> = {};
  for (const pair of pairs) {
    const [, name, value] = ATTRIBUTE.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      throw invalid('--attribute', `"${pair}" is not name=value with a lower-case name`);
    }
    extensions[name] = value;
  }
  return extensions;
}

/** The event that the options and the data make. */
export function toEvent(options: PubOptions, data: Uint8Array): EventLike {
  return {
    id: options.id ?? randomUUID(),
    source: options.source,
    type: options.type,
    time: new Date(),
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...(options.key === undefined ? {} : { partitionkey: options.key }),
    extensions: readAttributes(options.attribute),
    ...(data.length === 0
      ? {}
      : { data, datacontenttype: options.contentType ?? guessContentType(data) }),
  };
}

/** JSON when it parses, text when it is UTF-8, else bytes. */
export function guessContentType(data: Uint8Array): string {
  const text = utf8(data);
  if (text === undefined) return 'application/octet-stream';
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
}

function print({ output }: Cli<PubOptions>, rows: readonly Published[]): void {
  printRows(output, rows, {
    ID: ({ id }) => id,
    TOPIC: ({ topic }) => topic,
    SITE: ({ receipt }) => receipt.site,
    PARTITION: ({ receipt }) => receipt.partition,
    POSITION: ({ receipt }) => receipt.position,
    DURABILITY: ({ receipt }) => receipt.durability ?? 'direct',
    TO: ({ receipt }) => (receipt.noInterest ? 'nobody now' : receipt.destinations.join(' ')),
    DUPLICATE: ({ receipt }) => (receipt.duplicate ? 'yes' : 'no'),
    DUE: ({ receipt: { deliverAtMs, duplicate } }) => {
      if (duplicate) return '-';
      return deliverAtMs === undefined ? 'now' : new Date(deliverAtMs).toISOString();
    },
  });
}
