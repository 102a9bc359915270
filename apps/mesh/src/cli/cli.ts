import { InvalidArgumentError, type Command } from 'commander';
import { Connection, type ConnectionOptions } from './connection.ts';
import { standardOutput, type Output } from './output.ts';

/** What the commands need of the world; tests give their own. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working directory. */
  readonly folder: string;
  /** Aborts when the person asks to stop. */
  readonly interrupted: AbortSignal;
  /** Default: standard output. */
  readonly output?: (json: boolean) => Output;
  /** Sets the exit code of a command that ran to its end and found something wrong. */
  exit(code: number): void;
}

interface GlobalOptions extends ConnectionOptions {
  readonly output?: 'table' | 'json';
  /** Some commands have it as the short form of `--output json`. */
  readonly json?: boolean;
}

/** A command's hands: its options, its output and its connection. */
export interface Cli<O> {
  readonly options: O;
  readonly output: Output;
  readonly connection: Connection;
  readonly world: World;
}

/** Makes the action of a command: resolves its hands, closes what it opened. */
export function action<O, A extends readonly unknown[] = []>(
  world: World,
  body: (cli: Cli<O>, ...args: A) => Promise<void>,
) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<GlobalOptions & O>();
    const connection = new Connection(options, world.env, world.folder);
    const output = (world.output ?? standardOutput)(
      options.output === 'json' || options.json === true,
    );
    try {
      await body({ options, output, connection, world }, ...(given.slice(0, -2) as never as A));
    } finally {
      connection.close();
    }
  };
}

/** Adds examples to a command's help; the first words are the command itself. */
export function examples(command: Command, lines: Readonly<Record<string, string>>): Command {
  const text = Object.entries(lines).map(([line, about]) => `  # ${about}\n  $ ${line}`);
  return command.addHelpText('after', `\nExamples:\n${text.join('\n')}`);
}

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

/** A whole number within bounds. */
export const whole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`it must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };

const UNITS: Readonly<Record<string, number>> = Object.freeze({
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
});

/** A time that is not 0, and at most a bound, which is written as times are given. */
export const durationUpTo =
  (max = '') =>
  (text: string): number => {
    const ms = durationMs(text);
    if (ms === 0) throw new InvalidArgumentError('it must be at least 1ms.');
    if (max !== '' && ms > durationMs(max)) {
      throw new InvalidArgumentError(`it must be at most ${max}.`);
    }
    return ms;
  };

/** `500ms`, `30s`, `15m`, `24h`, `7d`; to milliseconds. */
export function durationMs(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('write it as 500ms, 30s, 15m, 24h or 7d.');
  return Number(match[1]) * (UNITS[match[2] ?? 'ms'] ?? 1);
}

const SIZE_UNITS: Readonly<Record<string, number>> = Object.freeze({
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
});

/** `512B`, `64KiB`, `1MiB`, `1GiB`; to bytes, at least one and at most a bound written the same way. */
export const sizeUpTo =
  (max: string) =>
  (text: string): number => {
    const match = /^(\d{1,9})(B|KiB|MiB|GiB)$/.exec(text);
    if (match === null) throw new InvalidArgumentError('write it as 512B, 64KiB, 1MiB or 1GiB.');
    const bytes = Number(match[1]) * (SIZE_UNITS[match[2] ?? 'B'] ?? 1);
    if (bytes === 0) throw new InvalidArgumentError('it must be at least 1B.');
    if (text !== max && bytes > sizeUpTo(max)(max)) {
      throw new InvalidArgumentError(`it must be at most ${max}.`);
    }
    return bytes;
  };
