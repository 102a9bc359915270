import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process whose system calls are tampered with. */
export interface Tampering {
  /** System calls that were tampered with so far. */
  readonly count: number;
  /** Before the process is ended: a traced one may never go. */
  end(): Promise<void>;
}

/** Why it cannot be done, or undefined when it can. */
export function missingStrace(): string | undefined {
  if (process.getuid?.() !== 0) return 'tracing other processes needs root';
  return spawnSync('strace', ['-V']).error === undefined ? undefined : 'strace is not installed';
}

/** @param fault what strace injects: `error=EIO`, `delay_enter=200ms` */
export async function tamper(pid: number, calls: string, fault: string): Promise<Tampering> {
  const args = ['-f', '-qq', '-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}`];
  const child = spawn('strace', [...args, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let count = 0;
  child.stderr.on('data', (chunk: Buffer) => {
    count += chunk.toString().split(/\((?:INJECTED|DELAYED)\)/).length - 1;
  });
  await attached(pid);
  return {
    get count() {
      return count;
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** All threads have a tracer. */
async function attached(pid: number): Promise<void> {
  for (;;) {
    const { stdout } = spawnSync('sh', ['-c', `grep -h TracerPid /proc/${pid}/task/*/status`], {
      encoding: 'utf8',
    });
    const tracers = stdout.trim().split('\n');
    if (tracers.every((line) => !/\s0$/.test(line))) return;
    await sleep(10);
  }
}
