import { Command } from 'commander';
import type { LostRange } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { action, examples, type Cli, type World } from '../cli/cli.ts';
import type { SiteAddresses } from '../cli/context-file.ts';
import { EXIT, exitCodeOf } from '../cli/exit-codes.ts';
import { HttpClient } from '../cli/http-client.ts';
import { printRows } from '../cli/output.ts';
import { lostText, type Topology } from './sites.ts';

interface Row {
  readonly site: string;
  readonly http: string | undefined;
  readonly grpc: string | undefined;
  readonly state: string;
  readonly links: string;
  /** What the site has lost since it was restored. */
  readonly lost: readonly LostRange[];
}

/** A row, and the exit code that it asks for. */
type Answer = readonly [row: Row, exit: number];

export function statusCommand(world: World): Command {
  const command = new Command('status')
    .description(
      'Where the mesh is and whether it answers; exit code 69 when a site does not, 77 when one answers and the caller may not look.',
    )
    .action(action(world, status));
  return examples(command, {
    'mesh status': 'all sites of the local mesh',
    'mesh status --server http://127.0.0.1:8080': 'one site by its address',
  });
}

async function status(cli: Cli<object>): Promise<void> {
  const { connection, output, world } = cli;
  const known = connection.contextFile?.sites ?? {};
  const { http } = connection.addresses;
  const local = Object.values(known).some((site) => site.http === http);
  const sites: [string, Partial<SiteAddresses>][] = local
    ? Object.entries(known)
    : [['', connection.addresses]];
  if (http === undefined) connection.http();
  const answers = await Promise.all(sites.map(([name, at]) => ask(cli, name, at)));
  const rows = answers.map(([row]) => row);
  printRows(output, rows, {
    SITE: ({ site }) => site,
    STATE: ({ state }) => state,
    LINKS: ({ links }) => links,
    HTTP: (row) => row.http,
    GRPC: ({ grpc }) => grpc,
  });
  for (const { site, lost } of output.json ? [] : rows) {
    for (const range of lost) output.note(`${site}: ${lostText(range)}\n`);
  }
  const exits = answers.map(([, exit]) => exit);
  for (const exit of [EXIT.unavailable, EXIT.permission]) {
    if (exits.includes(exit)) return world.exit(exit);
  }
}

async function ask(
  { connection }: Cli<object>,
  name: string,
  { http, grpc }: Partial<SiteAddresses>,
): Promise<Answer> {
  const row = { site: name, http, grpc, links: '', lost: [] };
  if (http === undefined) return [{ ...row, state: 'address not known' }, EXIT.unavailable];
  try {
    const client = new HttpClient(http, connection.authorization);
    const topology = await client.get<Topology>('/v1/sites');
    const own = topology.sites.find(({ site }) => site === topology.site);
    const links = (own?.links ?? []).map(({ to, up }) => `${to} ${up ? 'up' : 'down'}`);
    const { lost = [] } = topology;
    const told = { site: topology.site, state: 'answers', links: links.join(', '), lost };
    return [{ ...row, ...told }, EXIT.ok];
  } catch (error) {
    const { code, message } = MeshError.from(error);
    const allowed = exitCodeOf(code) !== EXIT.permission;
    return [{ ...row, state: message }, allowed ? EXIT.unavailable : EXIT.permission];
  }
}
