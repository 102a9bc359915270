import { Command } from 'commander';
import type { TopicView } from '@eventmesh/adapter-api';
import { action, examples, type World } from '../cli/cli.ts';
import { printRows } from '../cli/output.ts';

export function topicsCommand(world: World): Command {
  const command = new Command('topics').description('Topics seen or catalogued at a site.').action(
    action(world, async (cli) => {
      const { topics } = await cli.connection.http().get<{ topics: TopicView[] }>('/v1/topics');
      printRows(
        cli.output,
        topics,
        {
          TOPIC: ({ topic }) => topic,
          EVENTS: ({ events }) => events,
          LAST: ({ lastTimeMs }) =>
            lastTimeMs === 0 ? undefined : new Date(lastTimeMs).toISOString(),
        },
        'no topics yet at this site',
      );
    }),
  );
  return examples(command, {
    'mesh topics': 'topics at the default site',
    'mesh topics --site east -o json': 'at another, for a script',
  });
}
