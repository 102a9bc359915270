import { Command, Option } from 'commander';
import { auditCommand } from '../commands/audit.ts';
import { catalogueCommand } from '../commands/catalogue.ts';
import { checkConfigCommand } from '../commands/check-config.ts';
import { dlqCommand } from '../commands/dlq.ts';
import { keysCommand } from '../commands/keys.ts';
import { policiesCommand } from '../commands/policies.ts';
import { pubCommand } from '../commands/pub.ts';
import { replayCommand } from '../commands/replay.ts';
import { requestCommand } from '../commands/request.ts';
import { schedulesCommand } from '../commands/schedules.ts';
import { sitesCommand } from '../commands/sites.ts';
import { statusCommand } from '../commands/status.ts';
import { storeCommand } from '../commands/store.ts';
import { subCommand } from '../commands/sub.ts';
import { subscriptionsCommand } from '../commands/subscriptions.ts';
import { topicsCommand } from '../commands/topics.ts';
import { ledgerCommand } from '../commands/ledger.ts';
import { traceCommand } from '../commands/trace.ts';
import { usersCommand } from '../commands/users.ts';
import { whyCommand } from '../commands/why.ts';
import { demoCommand } from '../demo/command.ts';
import { devCommand } from '../dev/command.ts';
import type { World } from './cli.ts';
import { EXIT, EXIT_TEXTS } from './exit-codes.ts';

const COMMANDS = [
  devCommand,
  demoCommand,
  pubCommand,
  subCommand,
  requestCommand,
  topicsCommand,
  subscriptionsCommand,
  replayCommand,
  schedulesCommand,
  dlqCommand,
  sitesCommand,
  traceCommand,
  whyCommand,
  ledgerCommand,
  storeCommand,
  statusCommand,
  usersCommand,
  policiesCommand,
  keysCommand,
  catalogueCommand,
  auditCommand,
  checkConfigCommand,
] as const;

/** The whole command line; a fresh one for each run, for commander keeps state. */
export function buildProgram(world: World): Command {
  const program = new Command('mesh')
    .description('EventMesh: publish, subscribe, look inside, and run a mesh on this machine.')
    .version('0.1.0', '-V, --version')
    .option('--server <url>', 'base URL of the HTTP API, such as http://127.0.0.1:8080')
    .option('--grpc <host:port>', 'gRPC server to publish, subscribe and administer at')
    .option('--site <name>', 'site of the local mesh to use')
    .option('--context <file>', 'context file; default .mesh/context.json here or above')
    .option('--user <name:password>', 'who calls; of a local mesh the name is enough')
    .option('--api-key <key>', 'who calls, by API key')
    .option('--as <name>', 'user of the local mesh; default its administrator')
    .addOption(
      new Option('-o, --output <form>', 'how results are printed')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addHelpText('after', HELP)
    .showHelpAfterError('(add --help for usage and examples)');
  for (const add of COMMANDS) program.addCommand(add(world));
  for (const command of everyCommand(program)) {
    command.exitOverride().showHelpAfterError('(add --help for usage and examples)');
    const output = world.output?.(false);
    if (output === undefined) continue;
    command.configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => output.note(text),
    });
  }
  return program;
}

export function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

const HELP = `
Where the mesh is: flags first, then MESH_SERVER, MESH_GRPC, MESH_USER, MESH_API_KEY and
MESH_CONTEXT, then the context file that \`mesh dev\` writes.

Exit codes:
${Object.entries(EXIT)
  .map(([name, code]) => `  ${String(code).padStart(2)}  ${EXIT_TEXTS[name as keyof typeof EXIT]}`)
  .join('\n')}

Examples:
  # two sites on this machine, with sample traffic
  $ mesh dev
  # in another terminal
  $ mesh sub 'orders/#' --site east
  $ mesh pub orders/eu/new '{"order":1}' --site west
  $ mesh sites`;
