import { spawn } from 'node:child_process';
import { TOOL_ENV, WORKSPACE } from '../workspace.ts';

/** One step of `npm run check`. To add one, write a module that exports it and list it in `all.ts`. */
export interface Check {
  readonly name: string;
  /** What is wrong, one problem per item, worded so that the reader knows what to do; or nothing. */
  run(): Promise<string[]>;
}

/** A check that is a command: it fails when the command does, with what the command printed. */
export function commandCheck(name: string, command: string, ...args: readonly string[]): Check {
  return { name, run: () => runCommand(command, ...args) };
}

export async function runCommand(command: string, ...args: readonly string[]): Promise<string[]> {
  const child = spawn(command, args, {
    cwd: WORKSPACE,
    env: TOOL_ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk.toString('utf8');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return code === 0 ? [] : [`${command} ${args.join(' ')}:\n${output.trimEnd()}`];
}
