import { fork } from 'node:child_process';
import { once } from 'node:events';

const PROGRAM = new URL('./echo-server.ts', import.meta.url);

export interface Echo {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the echo server in a process of its own. */
export async function startEcho(): Promise<Echo> {
  const child = fork(PROGRAM);
  const ended = once(child, 'close');
  const [url] = (await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => {
      throw new Error(`the echo server ended with exit code ${code}`);
    }),
  ])) as [string];
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
