import type { Command } from 'commander';
import { PAGE_SIZE_MAX, everyEntry } from '@eventmesh/rpc';
import { whole, type Cli } from './cli.ts';

export interface LimitOption {
  readonly limit?: number;
}

/** Adds `--limit` to a command that lists. */
export const limited = (command: Command): Command =>
  command.option('--limit <n>', 'most of them; default all', whole(1, 1_000_000));

/**
 * The entries of a list, page after page, at most as many as `--limit` says; a note tells when there
 * are more.
 *
 * @param ask asks for one page; it may be shorter than its size
 */
export async function listed<T>(
  { options, output }: Pick<Cli<LimitOption>, 'options' | 'output'>,
  ask: (page: { readonly pageSize: number; readonly pageToken: string }) => Promise<{
    readonly entries: readonly T[];
    readonly nextPageToken: string;
  }>,
): Promise<T[]> {
  const { limit = Infinity } = options;
  const rows: T[] = [];
  let more = false;
  const next = async (pageToken: string) => {
    const pageSize = Math.min(PAGE_SIZE_MAX, limit - rows.length);
    const page = await ask({ pageSize, pageToken });
    more = page.nextPageToken !== '';
    return page;
  };
  for await (const entry of everyEntry(next)) {
    rows.push(entry);
    if (rows.length >= limit) break;
  }
  if (more) output.note('there are more; a larger --limit shows them\n');
  return rows;
}
