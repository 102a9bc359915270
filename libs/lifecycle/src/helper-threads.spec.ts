import { execFileSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';

const HELPERS = new URL('./helper-threads.ts', import.meta.url).href;

/** Nice value of each thread of a process that has lowered its helpers, by name. */
const PROGRAM = `
  import { readFileSync, readdirSync } from 'node:fs';
  import { getPriority } from 'node:os';
  import { lowerHelperThreads } from '${HELPERS}';
  lowerHelperThreads();
  const tasks = '/proc/self/task';
  const nice = (thread) => getPriority(Number(thread)) - getPriority(process.pid);
  const name = (thread) => readFileSync(tasks + '/' + thread + '/comm', 'utf8').trim();
  console.log(JSON.stringify(readdirSync(tasks).map((thread) => [name(thread), nice(thread)])));
`;

describe('lowerHelperThreads', () => {
  const onLinux = process.platform === 'linux' ? it : it.skip;

  onLinux("lets V8's helper threads give way, and no other thread", () => {
    const arguments_ = ['--input-type=module', '--eval', PROGRAM];
    const threads = JSON.parse(
      execFileSync(process.execPath, arguments_, { encoding: 'utf8' }),
    ) as [name: string, nice: number][];
    const helpers = threads.filter(([name]) => name === 'V8Worker');
    expect(helpers.length).toBeGreaterThan(0);
    for (const [, nice] of helpers) expect(nice).toBeGreaterThan(0);
    const others = threads.filter(([name]) => name !== 'V8Worker');
    for (const [, nice] of others) expect(nice).toBe(0);
  });
});
