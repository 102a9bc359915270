import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { ConfigError, loadConfig, type Entry } from '@eventmesh/config';
import { invalid } from '@eventmesh/errors';
import { action, collect, examples, type Cli, type World } from '../cli/cli.ts';
import { printFields } from '../cli/output.ts';

interface Options {
  readonly service: keyof typeof CHECKS;
  readonly set?: readonly string[];
}

type Check = (file: string, set: readonly string[]) => Promise<void>;

const spec =
  (load: () => Promise<Entry<unknown>>): Check =>
  async (file, set) => {
    loadConfig(await load(), { file, set });
  };

const problems =
  (load: () => Promise<(source: string) => readonly string[]>): Check =>
  async (file) => {
    const found = (await load())(readText(file));
    if (found.length > 0) throw new ConfigError(found);
  };

/** Loaded only when asked for: the apps are many, and a check needs one. */
const CHECKS = {
  emesher: spec(async () => (await import('@eventmesh/emesher')).emesherConfig),
  'store-gateway': spec(async () => (await import('@eventmesh/store-gateway')).storeGatewayConfig),
  registry: spec(async () => (await import('@eventmesh/registry')).registryConfig),
  acl: spec(async () => (await import('@eventmesh/acl')).aclConfig),
  governance: spec(async () => (await import('@eventmesh/governance')).governanceConfig),
  'acl-bootstrap': problems(async () => (await import('@eventmesh/acl')).checkBootstrap),
  'governance-bootstrap': problems(
    async () => (await import('@eventmesh/governance')).checkBootstrap,
  ),
} satisfies Record<string, Check>;

export function checkConfigCommand(world: World): Command {
  const command = new Command('check-config')
    .description(
      "Checks a service's configuration, or the file that acl or governance begins with. Prints " +
        'every problem, those of form before those of bounds, and nothing is started. Files of secrets must be readable.',
    )
    .argument('<file>', 'YAML or JSON')
    .addOption(
      new Option('--service <name>', 'what the file is for')
        .choices(Object.keys(CHECKS))
        .makeOptionMandatory(),
    )
    .option('--set <key=value>', 'one setting over the file; repeatable', collect)
    .action(
      action<Options, [string]>(world, async (cli: Cli<Options>, file) => {
        const { service, set = [] } = cli.options;
        await CHECKS[service](file, set);
        printFields(cli.output, { file, service, valid: true });
      }),
    );
  return examples(command, {
    'mesh check-config emesher.yaml --service emesher': 'before a roll-out',
    'mesh check-config users.yaml --service acl-bootstrap': 'users and policies to begin with',
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid('file', (error as Error).message);
  }
}
