import { Command } from 'commander';
import type { WhyAnswer, WhyReport, WhySearch } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { action, examples, type World } from '../cli/cli.ts';
import { printRows, toJson } from '../cli/output.ts';
import { missingTexts, nobody } from './missing.ts';

interface Options {
  readonly source?: string;
  readonly subscription?: string;
}

export function whyCommand(world: World): Command {
  const command = new Command('why')
    .summary('why an event was delivered, or not')
    .description(
      'For each subscription at every site, each link and the gate: what became of an event, and ' +
        'what decided. Needs the right to inspect `why`.',
    )
    .argument('<id>', 'CloudEvents id')
    .option('-s, --source <uri>', 'only of this source')
    .option('--subscription <name>', 'only for this subscription')
    .action(
      action<Options, [string]>(world, async (cli, id) => {
        const { source, subscription } = cli.options;
        const path = `/v1/why/${encodeURIComponent(id)}`;
        const report = await cli.connection.http().get<WhyReport>(path, { source, subscription });
        const { output } = cli;
        if (output.json) output.write(`${toJson(report)}\n`);
        else if (report.answers.length > 0) {
          printRows(output, report.answers, {
            SITE: ({ site }) => site,
            SUBJECT: ({ subject }) => subject,
            STATE: ({ state }) => state,
            WHEN: ({ timeUs }) =>
              timeUs === 0 ? undefined : new Date(timeUs / 1000).toISOString(),
            TRIES: ({ attempts }) => attempts,
            NEXT: ({ nextMs }) => (nextMs === 0 ? undefined : new Date(nextMs).toISOString()),
            AT: ({ partition, position }) =>
              position === 0 ? undefined : `${partition}:${position}`,
            WHY: ({ reason }) => reason,
          });
          for (const remark of revisionRemarks(report.answers)) output.note(`${remark}\n`);
        }
        for (const search of report.searches) output.note(`${searchText(search)}\n`);
        for (const text of missingTexts(report)) output.note(`${text}\n`);
        if (report.answers.length > 0) return;
        throw new MeshError(
          'NotFound',
          `${nobody(report)} knows of an event "${id}"${subscription === undefined ? '' : ` or has "${subscription}"`}; ` +
            'what is refused or of the direct class is remembered for a bounded time, or not at all',
        );
      }),
    );
  return examples(command, {
    'mesh why 7f1c2d3e': 'what became of an event, everywhere',
    'mesh why 7f1c2d3e --subscription billing': 'why one subscription has it, or has it not',
    'mesh why 7f1c2d3e --source /shop -o json': 'of one source, for a script',
  });
}

/** Where the rules of now are not those that the event was admitted by, and which ones decided. */
export function revisionRemarks(answers: readonly WhyAnswer[]): string[] {
  const remarks = answers.flatMap((answer) => {
    const { site, policyRevision, grantsRevision, grantsRevisionJudged: judged } = answer;
    const policies = changed(`${site}: the policies`, policyRevision, answer.policyRevisionNow);
    const grants = changed(`${site}: the grants`, grantsRevision, answer.grantsRevisionNow);
    const by =
      judged === 0 ? '' : `; this is by those of ${judged === grantsRevision ? 'then' : 'now'}`;
    return [policies, grants === undefined ? undefined : `${grants}${by}`].filter(
      (text) => text !== undefined,
    );
  });
  return [...new Set(remarks)];
}

function changed(what: string, then: number, now: number): string | undefined {
  if (then === 0 || now === 0 || then === now) return undefined;
  return `${what} have changed since it was judged (revision ${then}, now ${now})`;
}

/** How far a site has looked for an event that it does not remember. */
export function searchText({ site, partition, from, to, first }: WhySearch): string {
  const where = `${site}, partition ${partition}`;
  if (to < from) return `${where}: the log is empty`;
  const all =
    from <= first ? 'all that is stored' : `${from - first} older ones were not looked at`;
  return `${where}: not remembered, so ${to - from + 1} records were looked through (${all})`;
}
