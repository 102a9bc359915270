import { Command, Option } from 'commander';
import { action, collect, durationUpTo, examples, type Cli, type World } from '../cli/cli.ts';
import { printable, toJson } from '../cli/output.ts';
import { eventJson, utf8 } from './event-json.ts';
import { dataOf, toEvent, type PubOptions } from './pub.ts';

interface RequestOptions extends Omit<PubOptions, 'count'> {
  readonly timeout: number;
}

export function requestCommand(world: World): Command {
  const command = new Command('request')
    .summary('ask, and wait for the reply')
    .description(
      'Publishes an event as a request and prints the data of the reply. Who answers publishes to the ' +
        'address in its `replyto` attribute.',
    )
    .argument('<topic>', 'topic to ask on, such as prices/quote')
    .argument('[data]', 'the data; `-` reads standard input')
    .addOption(
      new Option('--timeout <time>', 'how long to wait, at most 5m')
        .argParser(durationUpTo('5m'))
        .default(10_000, '10s'),
    )
    .option('-f, --file <path>', 'take the data from a file')
    .option('-t, --type <type>', 'CloudEvents type', 'eventmesh.request')
    .option('-s, --source <uri>', 'CloudEvents source', '/mesh/cli')
    .option('--subject <subject>', 'CloudEvents subject')
    .option('-k, --key <key>', 'order key (partitionkey)')
    .option('--content-type <type>', 'datacontenttype; default by looking at the data')
    .option('-a, --attribute <name=value>', 'further attribute; repeatable', collect)
    .option('--direct', 'send the request at most once, without the store')
    .action(action<RequestOptions, [string, string | undefined]>(world, request));
  return examples(command, {
    'mesh request prices/quote \'{"item":7}\' --timeout 5s': 'ask, and print the answer',
    'mesh request prices/quote \'{"item":7}\' -o json': 'the whole reply as a CloudEvent',
  });
}

async function request(
  { options, output, connection, world }: Cli<RequestOptions>,
  topic: string,
  data: string | undefined,
): Promise<void> {
  const one = { ...options, count: 1 };
  const event = toEvent(one, await dataOf(one, data));
  const reply = await connection.client().request(topic, event, {
    timeoutMs: options.timeout,
    signal: world.interrupted,
    ...(options.direct === true ? { deliveryClass: 'direct' } : {}),
  });
  if (output.json) {
    output.write(`${toJson(eventJson(reply))}\n`);
    return;
  }
  const bytes = reply.data?.bytes ?? new Uint8Array();
  const type = reply.text('datacontenttype') ?? '';
  output.write(`${printable(utf8(bytes) ?? `${bytes.length} bytes ${type}`)}\n`);
}
