import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { environment } from '@eventmesh/config';
import { MEMORY_ENVIRONMENT, MEMORY_FLAGS } from '../../src/dev/managed-process.ts';

const WORDS_MAX = 40;
const READY_MS = 40_000;
const running = new Set<ChildProcess>();

// However the test run ends, nothing that it started outlives it.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program of the mesh on fixed ports and folders, which a test ends and starts as it likes. */
export class ServiceProcess {
  readonly name: string;
  readonly #args: readonly string[];
  readonly #words: string[] = [];
  #child: ChildProcess | undefined;

  /** @param args the program and its arguments, run by this Node */
  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.#args = args;
  }

  get up(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && !this.#killed;
  }

  get #killed(): boolean {
    return this.#child?.signalCode !== null;
  }

  /** Of the present process; 0 when it was never started. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves once it has logged that it is ready. */
  async start(): Promise<void> {
    if (this.up) throw new Error(`${this.name} runs already`);
    const child = spawn(process.execPath, [...MEMORY_FLAGS, ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment(), ...MEMORY_ENVIRONMENT },
    });
    this.#child = child;
    running.add(child);
    child.once('close', () => running.delete(child));
    createInterface({ input: child.stderr }).on('line', (line) => this.#remember(line));
    const opened = Promise.withResolvers<undefined>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#remember(line);
      if (line.includes('"msg":"ready"')) opened.resolve(undefined);
    });
    const ended = once(child, 'close').then(([code, signal]) => `ended with ${signal ?? code}`);
    const timer = AbortSignal.timeout(READY_MS);
    const late = once(timer, 'abort').then(() => `was not ready after ${READY_MS} ms`);
    const failure = await Promise.race([opened.promise, ended, late]);
    if (failure === undefined) return;
    child.kill('SIGKILL');
    throw new Error(`${this.name} ${failure}; its last words:\n${this.words}`);
  }

  /** The end of its log, for messages. */
  get words(): string {
    return this.#words.join('\n');
  }

  /** Sends a signal, waits for the end and answers the exit code; null when the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.up) return child?.exitCode ?? null;
    const ended = once(child, 'close');
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  /** Sends a signal that does not end it, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  kill(): Promise<number | null> {
    return this.end('SIGKILL');
  }

  #remember(line: string): void {
    this.#words.push(line);
    if (this.#words.length > WORDS_MAX) this.#words.shift();
  }
}
