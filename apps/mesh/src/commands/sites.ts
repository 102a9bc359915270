import { Command } from 'commander';
import type { LostRange, SiteView } from '@eventmesh/adapter-api';
import { action, examples, type World } from '../cli/cli.ts';
import { printRows, toJson } from '../cli/output.ts';

export interface Topology {
  readonly site: string;
  readonly sites: readonly SiteView[];
  readonly routes: readonly {
    readonly destination: string;
    readonly nextHop: string;
    readonly cost: number;
  }[];
  /** Absent: a site of an older version. */
  readonly lost?: readonly LostRange[];
}

export function sitesCommand(world: World): Command {
  const command = new Command('sites')
    .description('The graph of sites as one of them sees it, and its routes.')
    .action(
      action(world, async (cli) => {
        const topology = await cli.connection.http().get<Topology>('/v1/sites');
        const { output } = cli;
        if (output.json) {
          output.write(`${toJson(topology)}\n`);
          return;
        }
        output.write(`${graphText(topology)}\n\nroutes from ${topology.site}\n`);
        printRows(
          output,
          topology.routes,
          {
            TO: ({ destination }) => destination,
            VIA: ({ nextHop }) => nextHop,
            COST: ({ cost }) => cost,
          },
          'none: no other site is reachable',
        );
        for (const range of topology.lost ?? []) output.note(`${lostText(range)}\n`);
      }),
    );
  return examples(command, {
    'mesh sites': 'the graph and the routes of the default site',
    'mesh sites --site east': 'as east sees it',
  });
}

/** What is lost since a log was brought back from an older copy, and where it still is. */
export const lostText = ({ site, partition, from, to, foundMs }: LostRange): string =>
  `restored: "${site}" had taken positions ${from} to ${to} of partition ${partition}; what the copy did ` +
  `not have of them is lost here and still there (found ${new Date(foundMs).toISOString()})`;

const INTEREST_SHOWN = 5;

/** A line for each site with its links and its interest. */
export function graphText({ site, sites }: Topology): string {
  return sites
    .map((view) => {
      const links = view.links.map(({ to, cost, up }) => {
        const line = up ? '──' : '╳╳';
        return `${line} ${to} (cost ${cost}${up ? '' : ', down'})`;
      });
      const shown = view.interest.slice(0, INTEREST_SHOWN).map(({ topicFilter }) => topicFilter);
      const more = view.interest.length - shown.length;
      const interest = shown.length === 0 ? 'nothing' : shown.join(' ');
      return [
        `${view.site}${view.site === site ? ' (asked)' : ''}  ${links.join('  ') || 'no links'}`,
        `  wants ${interest}${more > 0 ? ` and ${more} more` : ''}`,
      ].join('\n');
    })
    .join('\n');
}
