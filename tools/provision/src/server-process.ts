import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real server run by this process. */
export interface RunningServer {
  readonly name: string;
  /** For clients, e.g. `nats://127.0.0.1:4222` or `http://127.0.0.1:2379`. Stays over a restart. */
  readonly url: string;
  readonly port: number;
  /** Of the present process; changes with a restart. */
  readonly pid: number;
  /** What it was started with: the text of its configuration or its arguments. */
  readonly config: string;
  /** The last 64 KiB of what it wrote to standard error. */
  stderr(): string;
  /**
   * Sends a signal (default SIGKILL) and, unless it is SIGSTOP or SIGCONT, waits for the process to
   * end. The data stay for `restart`.
   */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGTERM, and SIGKILL when it takes longer than 10 s. May be called twice. */
  stop(): Promise<void>;
  /** Stops it if it runs and starts it on the same data and port; resolves when it answers. */
  restart(): Promise<void>;
}

export interface ServerSpec {
  readonly name: string;
  /** The command of one start; `port` is undefined the first time and fixed from then on. */
  readonly command: (port: number | undefined) => {
    readonly binary: string;
    readonly args: readonly string[];
    readonly config: string;
  };
  /** Asked again and again: the port once the server answers, else undefined. May throw to give up. */
  readonly ready: (child: { pid: number; stderr: string }) => Promise<number | undefined>;
  readonly url: (port: number) => string;
  readonly readyTimeoutMs: number;
}

const STDERR_MAX = 65_536;
const STOP_TIMEOUT_MS = 10_000;

const running = new Set<ChildProcess>();
let watchingExit = false;

export async function startServer(spec: ServerSpec): Promise<RunningServer> {
  const server = new Server(spec);
  await server.start();
  return server;
}

class Server implements RunningServer {
  readonly name: string;
  port = 0;
  config = '';
  readonly #spec: ServerSpec;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stderr = '';

  constructor(spec: ServerSpec) {
    this.name = spec.name;
    this.#spec = spec;
  }

  get url(): string {
    return this.#spec.url(this.port);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  stderr(): string {
    return this.#stderr;
  }

  async start(): Promise<void> {
    const { binary, args, config } = this.#spec.command(this.port === 0 ? undefined : this.port);
    this.config = config;
    this.#stderr = '';
    // A process group of its own: Ctrl-C reaches only whoever started it, who stops it in order.
    const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-STDERR_MAX);
    });
    killAtExit(child);
    // A server that somebody forgot to stop must not keep this process alive; it ends with it.
    child.unref();
    (child.stderr as Socket).unref();
    let failure: string | undefined;
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        failure = error.message;
        resolve();
      });
      child.once('close', (code, signal) => {
        failure ??= `it ended with ${signal ?? code}`;
        running.delete(child);
        resolve();
      });
    });
    await this.#waitUntilReady(() => failure);
  }

  async #waitUntilReady(failure: () => string | undefined): Promise<void> {
    const deadline = Date.now() + this.#spec.readyTimeoutMs;
    for (;;) {
      const failed = failure();
      if (failed !== undefined) throw this.#startError(failed);
      const port = await this.#spec.ready({ pid: this.pid, stderr: this.#stderr });
      if (port !== undefined) {
        this.port = port;
        return;
      }
      if (Date.now() > deadline) {
        await this.kill();
        throw this.#startError(`it did not answer within ${this.#spec.readyTimeoutMs} ms`);
      }
      await sleep(20);
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    this.#child?.ref();
    await this.#ended;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    // A stopped (SIGSTOP) process would not see the SIGTERM before it goes on.
    child.kill('SIGTERM');
    child.kill('SIGCONT');
    child.ref();
    await this.#ended;
    clearTimeout(timer);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  #startError(reason: string): Error {
    const tail = this.#stderr.trimEnd().split('\n').slice(-15).join('\n  ');
    return new Error(`${this.name} did not start: ${reason}. Its last words:\n  ${tail}`);
  }
}

/** No server outlives this process, even when a test run is ended in the middle. */
function killAtExit(child: ChildProcess): void {
  running.add(child);
  if (watchingExit) return;
  watchingExit = true;
  process.once('exit', () => {
    for (const each of running) each.kill('SIGKILL');
  });
}
