import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { environment } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { doubled } from '@eventmesh/time';

export interface ProcessSpec {
  /** For messages, such as `west` or `east/acl`. */
  readonly name: string;
  /** The program and its arguments, run by this Node. */
  readonly args: readonly string[];
  /** Its JSON log is appended here. */
  readonly logFile: string;
  /** It must say that it is ready within this time. Default 30,000 ms. */
  readonly readyTimeoutMs?: number;
}

export interface ProcessObserver {
  /** It ended by itself and is started again after the pause. */
  crashed(name: string, reason: string, pauseMs: number): void;
  /** It is up again. */
  recovered(name: string): void;
  /** It ended too often; the whole should stop. */
  failed(name: string, reason: string): void;
}

/**
 * Starting lets the young generation grow to 64 MiB, which an idle process then keeps. A quarter of
 * that is as fast under load and leaves an idle process 18 MiB smaller. So small a one is collected
 * by one thread in 1 ms; helpers would be waited for until a busy machine lets them run, 5 to 25 ms.
 * Allocation sites whose objects once lived long, as while a store was slow, would go on to fill the
 * old generation with events that die young, and its collections would take both cores
 * (docs/performance.md).
 */
export const MEMORY_FLAGS: readonly string[] = [
  '--max-semi-space-size=8',
  '--no-parallel-scavenge',
  '--no-allocation-site-pretenuring',
];

/**
 * glibc keeps the 32 MiB in which a password is hashed once it has learned that size; with a fixed
 * threshold it gives them back at once.
 */
export const MEMORY_ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: '1048576' };

const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 10_000;
/** Ends by itself within a minute before the whole gives up. */
const CRASHES_MAX = 5;
const CRASH_WINDOW_MS = 60_000;
const STOP_TIMEOUT_MS = 25_000;

/**
 * A service in a process of its own. One that ends by itself is reported and started again with
 * growing pauses; one that does so five times within a minute fails the whole. It is in a process
 * group of its own, so that Ctrl-C reaches only the parent, which then stops it in order; it stops
 * by itself when the parent is gone.
 */
export class ManagedProcess {
  readonly name: string;
  readonly #spec: ProcessSpec;
  readonly #observer: ProcessObserver;
  readonly #crashes: number[] = [];
  #child: ChildProcess | undefined;
  #ended: Promise<string> = Promise.resolve('');
  #stopping = false;
  #restart: NodeJS.Timeout | undefined;

  constructor(spec: ProcessSpec, observer: ProcessObserver) {
    this.name = spec.name;
    this.#spec = spec;
    this.#observer = observer;
  }

  /** Of the present process; undefined between two. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it said that it is ready. @throws MeshError Unavailable with its last words. */
  async start(): Promise<void> {
    const { args, logFile, name, readyTimeoutMs = 30_000 } = this.#spec;
    const child = spawn(
      process.execPath,
      [...MEMORY_FLAGS, '--import', new URL('stop-with-parent.ts', import.meta.url).href, ...args],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
        env: { ...MEMORY_ENVIRONMENT, ...environment() },
      },
    );
    this.#child = child;
    const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
    const output = watchOutput(child, log);
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => {
        log.end();
        resolve(signal === null ? `exit code ${code}` : `signal ${signal}`);
      });
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`not ready after ${readyTimeoutMs} ms`), readyTimeoutMs);
    });
    const failure = await Promise.race([output.ready, this.#ended, late]);
    clearTimeout(timer);
    if (failure !== undefined) {
      child.kill('SIGKILL');
      await this.#ended;
      const why = output.lastWords();
      throw new MeshError(
        'Unavailable',
        `${name} did not start (${failure})${why === '' ? '' : `: ${why}`}; its log is ${logFile}`,
        { reason: 'NOT_STARTED' },
      );
    }
    void this.#watch();
  }

  /** SIGTERM, and SIGKILL when draining takes too long. Answers whether it ended in order. */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === undefined) return true;
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.kill('SIGTERM');
    const reason = await this.#ended;
    clearTimeout(timer);
    return reason === 'exit code 0';
  }

  /** Waits for the end; one that nobody asked for leads to a new start. */
  async #watch(): Promise<void> {
    const reason = await this.#ended;
    this.#child = undefined;
    if (this.#stopping) return;
    this.#again(reason);
  }

  #again(reason: string): void {
    const now = Date.now();
    this.#crashes.push(now);
    const recent = this.#crashes.filter((at) => at > now - CRASH_WINDOW_MS).length;
    if (recent >= CRASHES_MAX) {
      this.#observer.failed(this.name, reason);
      return;
    }
    const pauseMs = doubled(PAUSE_MIN_MS, PAUSE_MAX_MS, recent - 1);
    this.#observer.crashed(this.name, reason, pauseMs);
    this.#restart = setTimeout(() => {
      this.start().then(
        () => this.#observer.recovered(this.name),
        (error: unknown) => {
          this.#child = undefined;
          if (!this.#stopping) this.#again(MeshError.from(error).message);
        },
      );
    }, pauseMs);
  }
}

interface WatchedOutput {
  /** Resolves once the service has logged that it is ready. */
  readonly ready: Promise<undefined>;
  lastWords(): string;
}

const WORDS_MAX = 2000;

function watchOutput(child: ChildProcess, log: WriteStream): WatchedOutput {
  let words = '';
  const remember = (text: string) => {
    words = `${words}${text}\n`.slice(-WORDS_MAX);
  };
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the process has no output');
  createInterface({ input: stderr }).on('line', (line) => {
    log.write(`${line}\n`);
    remember(line);
  });
  const ready = new Promise<undefined>((resolve) => {
    createInterface({ input: stdout }).on('line', (line) => {
      log.write(`${line}\n`);
      const entry = parsed(line);
      if (entry?.msg === 'ready') resolve(undefined);
      if (entry?.level === 'error' || entry?.level === 'fatal') {
        remember([entry.msg, entry.err?.message].filter((part) => part !== undefined).join(': '));
      }
    });
  });
  return { ready, lastWords: () => words.trim() };
}

interface LogEntry {
  readonly level?: string;
  readonly msg?: string;
  readonly err?: { readonly message?: string };
}

/** A line of the JSON log; undefined for anything else a process may print. */
function parsed(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return undefined;
  }
}
