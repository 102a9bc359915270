import { readText, walk } from '../workspace.ts';
import { page } from './markdown.ts';

const FOLDER = 'docs/adr';

/** Numbers that were given out and never used. They are not given out again. */
const UNUSED: readonly number[] = [39];

const ABOUT = `What was decided, in the order in which it was, with what was rejected and why: ten lines each.
They say what held when they were written; how things work now is in [Internals](../README.md#internals). A decision
that others will ask about gets the next number: a new dependency, a change of a wire format or of a public
interface.`;

/** One page of docs/adr. */
export interface Decision {
  readonly file: string;
  readonly number: number;
  readonly title: string;
  /** What the page says behind `Status:`. */
  readonly status: string;
}

/** The index of the decisions, by number. */
export function decisionsPage(): string {
  return page('Decisions', ABOUT, [decisionLines(readDecisions(), UNUSED).join('\n')]);
}

/** @throws Error when a page does not begin with its number and title, and then its status. */
export function readDecision(file: string, text: string): Decision {
  const [, heading, title, status] = /^# (\d+)\. (.+)\n\nStatus: (.+)\n/.exec(text) ?? [];
  const number = Number(file.slice(0, 4));
  if (title === undefined || status === undefined || Number(heading) !== number) {
    throw new Error(`${FOLDER}/${file}: begins with "# ${number}. Title", then "Status: …"`);
  }
  return { file, number, title, status };
}

/**
 * A line for each number from 1 on.
 *
 * @throws Error when a number is there twice, or neither there nor among the unused ones.
 */
export function decisionLines(decisions: readonly Decision[], unused: readonly number[]): string[] {
  const last = Math.max(0, ...decisions.map(({ number }) => number));
  return Array.from({ length: last }, (_, index) => {
    const number = index + 1;
    const [decision, another] = decisions.filter((each) => each.number === number);
    if (another !== undefined) throw new Error(`${FOLDER}: two decisions have number ${number}`);
    if (unused.includes(number) && decision === undefined) return `- ${number}: was not used`;
    if (decision === undefined || unused.includes(number)) {
      throw new Error(`${FOLDER}: number ${number} is neither a page nor unused, or both`);
    }
    const { file, title, status } = decision;
    return `- [${number}](${file}): ${title}${status === 'accepted' ? '' : ` (${status})`}`;
  });
}

function readDecisions(): Decision[] {
  return walk(FOLDER)
    .filter((path) => /\/\d{4}-[^/]+\.md$/.test(path))
    .map((path) => readDecision(path.slice(FOLDER.length + 1), readText(path)));
}
