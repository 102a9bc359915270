import { describe, expect, it } from '@jest/globals';
import { pageOfSorted, type PageRequest } from '@eventmesh/rpc';
import type { Cli } from './cli.ts';
import { listed, type LimitOption } from './paging.ts';

const ALL = Array.from({ length: 2500 }, (_, number) => String(number).padStart(4, '0'));
const LIST = { scope: 'numbers', keyOf: (key: string) => key, bytesOf: () => 1 };

/** What a command lists of them, the sizes it asks for and what it remarks. */
async function list(options: LimitOption) {
  const sizes: number[] = [];
  const notes: string[] = [];
  const output = { json: false, terminal: false, write: () => undefined };
  const note = (text: string) => void notes.push(text);
  const cli: Pick<Cli<LimitOption>, 'options' | 'output'> = {
    options,
    output: { ...output, note },
  };
  const rows = await listed(cli, async (page: PageRequest) => {
    sizes.push(page.pageSize);
    return pageOfSorted(ALL, page, LIST);
  });
  return { rows, sizes, notes };
}

describe('a command that lists', () => {
  it('follows the pages to the end by itself', async () => {
    expect(await list({})).toEqual({ rows: ALL, sizes: [1000, 1000, 1000], notes: [] });
  });

  it.each([
    [1, [1]],
    [1000, [1000]],
    [1100, [1000, 100]],
  ])('stops at a limit of %d, and says that there are more', async (limit, asked) => {
    const { rows, sizes, notes } = await list({ limit });
    expect([rows, sizes]).toEqual([ALL.slice(0, limit), asked]);
    expect(notes).toEqual([expect.stringContaining('--limit')]);
  });

  it('says nothing of more when the limit is just the end', async () => {
    expect((await list({ limit: 2500 })).notes).toEqual([]);
  });
});
