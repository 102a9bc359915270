import { CommanderError } from 'commander';
import { ConfigError, environment } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import type { World } from './cli.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { printable } from './output.ts';
import { buildProgram } from './program.ts';

/** Runs one command line and answers its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => interrupted.abort());
  }
  // A reader that has seen enough (`mesh sub … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  let code: number = EXIT.ok;
  const world: World = {
    env: environment(),
    folder: process.cwd(),
    interrupted: interrupted.signal,
    exit: (wanted) => {
      code = wanted;
    },
  };
  const failed = await runIn(world, args, (text) => process.stderr.write(text));
  return failed === EXIT.ok ? code : failed;
}

/** The same in a given world; tells faults through `tell`. */
export async function runIn(
  world: World,
  args: readonly string[],
  tell: (text: string) => void,
): Promise<number> {
  try {
    await buildProgram(world).parseAsync([...args], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof ConfigError) {
      tell(`mesh: ${error.message}\n`);
      return EXIT.usage;
    }
    const known = MeshError.from(error);
    tell(`mesh: ${faultText(known)}\n`);
    return exitCodeOf(known.code);
  }
}

/** What went wrong, the limit where there is one, and the way out. */
export function faultText(error: MeshError): string {
  const { limit, retryAfterMs } = error.details;
  const parts = [printable(error.message)];
  if (limit !== undefined && !error.message.includes(limit)) parts.push(`limit: ${limit}`);
  if (retryAfterMs !== undefined) parts.push(`retry after ${retryAfterMs} ms`);
  if (error.code === 'Internal' && error.cause instanceof Error) parts.push(error.cause.message);
  const hint = error.reason === 'NOT_STARTED' ? undefined : HINTS[error.code];
  if (hint !== undefined) parts.push(hint);
  return `${error.code} ${error.number}: ${parts.join('; ')}`;
}

const HINTS: Partial<Record<MeshError['code'], string>> = {
  Unavailable: 'is the mesh running? `mesh status` shows which address is used',
  Unauthenticated: 'give --user name:password or --api-key',
  PermissionDenied: 'an administrator can grant it with `mesh policies put`',
};
