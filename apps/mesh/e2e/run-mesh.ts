import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

const BIN = join(import.meta.dirname, '../bin/mesh.js');

/** A folder of its own, in which `mesh` finds the context file and the data of its mesh. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), 'mesh-e2e-'));
  readonly #running = new Set<MeshRun>();

  /** Starts `mesh` with these arguments in the folder. */
  start(...args: string[]): MeshRun {
    const run = new MeshRun(args, this.folder);
    this.#running.add(run);
    void run.ended.then(() => this.#running.delete(run));
    return run;
  }

  /** The same, with a standard input that the test writes to and ends. */
  startReading(...args: string[]): { readonly run: MeshRun; readonly input: Writable } {
    const run = new MeshRun(args, this.folder, 'open');
    this.#running.add(run);
    void run.ended.then(() => this.#running.delete(run));
    return { run, input: run.input };
  }

  /** Runs `mesh` to its end. */
  async run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const run = this.start(...args);
    const code = await run.ended;
    return { code, out: run.out, err: run.err };
  }

  /** Runs `mesh … -o json` and reads what it printed. @throws when it did not exit 0. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, out, err } = await this.run(...args, '-o', 'json');
    if (code !== 0) throw new Error(`mesh ${args.join(' ')} exited with ${code}: ${err}`);
    return JSON.parse(out) as T;
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#running].map((run) => run.stop('SIGTERM')));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One running `mesh`. */
export class MeshRun {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #watchers = new Set<() => void>();
  readonly ended: Promise<number | null>;
  out = '';
  err = '';
  #over = false;

  constructor(args: readonly string[], folder: string, input: 'open' | 'empty' = 'empty') {
    this.#child = spawn(process.execPath, [BIN, ...args], { cwd: folder, stdio: 'pipe' });
    if (input === 'empty') this.#child.stdin.end();
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.out += chunk.toString();
      this.#tell();
    });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.err += chunk.toString();
      this.#tell();
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#over = true;
        this.#tell();
        resolve(code);
      });
    });
  }

  /** Resolves with what matches in everything printed so far; rejects when it ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.out) ?? pattern.exec(this.err);
        if (match === null && !this.#over) return;
        this.#watchers.delete(look);
        if (match !== null) resolve(match);
        else reject(new Error(`ended without ${pattern}; out: ${this.out}; err: ${this.err}`));
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Its standard input. */
  get input(): Writable {
    return this.#child.stdin;
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended;
  }

  #tell(): void {
    for (const look of [...this.#watchers]) look();
  }
}
