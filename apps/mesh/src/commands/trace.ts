import { Command } from 'commander';
import type { Trace } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { action, examples, type World } from '../cli/cli.ts';
import { printRows, toJson } from '../cli/output.ts';
import { missingTexts, nobody } from './missing.ts';

interface Options {
  readonly source?: string;
}

export function traceCommand(world: World): Command {
  const command = new Command('trace')
    .description('Where an event went, hop by hop, with times.')
    .argument('<id>', 'CloudEvents id')
    .option('-s, --source <uri>', 'only of this source')
    .action(
      action<Options, [string]>(world, async (cli, id) => {
        const path = `/v1/trace/${encodeURIComponent(id)}`;
        const trace = await cli.connection.http().get<Trace>(path, { source: cli.options.source });
        const { output } = cli;
        for (const text of missingTexts(trace)) output.note(`${text}\n`);
        if (trace.steps.length === 0) {
          throw new MeshError(
            'NotFound',
            `${nobody(trace)} knows of an event "${id}"; traces are kept for a bounded time, and ` +
              'what was refused, or waits for its time, has none: ask `mesh why`',
          );
        }
        if (output.json) {
          output.write(`${toJson(trace)}\n`);
          return;
        }
        const first = trace.steps[0]?.timeUs ?? 0;
        printRows(output, trace.steps, {
          TIME: ({ timeUs }) => new Date(timeUs / 1000).toISOString().slice(11, 23),
          '+MS': ({ timeUs }) => ((timeUs - first) / 1000).toFixed(2),
          SITE: ({ site }) => site,
          STEP: ({ step }) => step,
          SUBJECT: ({ subject }) => subject,
          DETAIL: ({ detail }) => detail,
          AT: ({ partition, position }) => (position === 0 ? '' : `${partition}:${position}`),
        });
      }),
    );
  return examples(command, {
    'mesh trace 7f1c2d3e': 'the path of an event',
    'mesh trace 7f1c2d3e --source /shop -o json': 'of one source, for a script',
  });
}
