import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = join(import.meta.dirname, '../src/main.ts');

export interface GatewayProcess {
  readonly pid: number;
  readonly grpc: string;
  readonly admin: string;
  /** Log lines so far. */
  readonly logs: readonly Record<string, unknown>[];
  /** Sends a signal; waits for the end unless it is SIGSTOP or SIGCONT. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Resolves with the exit code when the process has ended. */
  readonly ended: Promise<number | null>;
  /** Sends a signal, waits for the end, answers the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Runs the shipped start-up path and answers once it says that it is ready. */
export async function startGateway(dir: string, config: object): Promise<GatewayProcess> {
  const file = join(dir, 'store-gateway.json');
  writeFileSync(file, JSON.stringify({ site: 'west', admin: { port: 0 }, ...config }));
  const child = spawn(process.execPath, [MAIN, '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit').then(() => child.exitCode);
  const logs: Record<string, unknown>[] = [];
  const addresses = await ready(child, logs);
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    ...addresses,
    pid: child.pid ?? 0,
    logs,
    ended,
    stop: (signal = 'SIGTERM') => stop(signal),
    async signal(signal) {
      if (signal === 'SIGSTOP' || signal === 'SIGCONT') child.kill(signal);
      else await stop(signal);
    },
  };
}

function ready(
  child: ChildProcess,
  logs: Record<string, unknown>[],
): Promise<{ grpc: string; admin: string }> {
  return new Promise((resolve, reject) => {
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.once('exit', (code) => {
      reject(new Error(`the gateway ended with ${code}: ${errors}\n${JSON.stringify(logs)}`));
    });
    if (child.stdout === null) throw new Error('no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>;
      logs.push(entry);
      if (entry['msg'] === 'ready') resolve(entry['addresses'] as { grpc: string; admin: string });
    });
  });
}
