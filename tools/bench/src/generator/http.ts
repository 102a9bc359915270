import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { DATA_BYTES } from './events.ts';
import type { Job, Ready } from './job.ts';

type HttpJob = Extract<Job, { kind: 'http' }>;

const WARM_UP_EVENTS = 3000;
const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Single events in the CloudEvents binary mode over connections that stay open, one request at a
 * time each. Speaks just enough HTTP/1.1 by itself to cost the generator little.
 */
export async function httpLoad(job: HttpJob): Promise<Ready> {
  const requests = new RequestSource(job);
  const { hostname, port } = new URL(job.url);
  const connections = await Promise.all(
    Array.from({ length: job.connections }, async () => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      await once(socket, 'connect');
      return new Connection(socket);
    }),
  );
  const send = async (events: number) => {
    let left = events;
    await Promise.all(
      connections.map(async (connection) => {
        while (left-- > 0) await connection.request(requests.next());
      }),
    );
  };
  await send(WARM_UP_EVENTS);
  return {
    async run() {
      await send(job.events);
      return {};
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

/** Requests that differ in the id of their event. */
class RequestSource {
  readonly #before: string;
  readonly #after: string;
  readonly #prefix = `${process.pid}-${Date.now()}-`;
  #made = 0;

  constructor({ url, user, password }: HttpJob) {
    const { host, pathname } = new URL(url);
    const pair = Buffer.from(`${user}:${password}`).toString('base64');
    this.#before = [
      `POST ${pathname} HTTP/1.1`,
      `host: ${host}`,
      `authorization: Basic ${pair}`,
      'content-type: application/octet-stream',
      `content-length: ${DATA_BYTES}`,
      'ce-specversion: 1.0',
      'ce-source: /bench/generator',
      'ce-type: com.example.bench',
      'ce-id: ',
    ].join('\r\n');
    this.#after = `\r\n\r\n${'x'.repeat(DATA_BYTES)}`;
  }

  next(): string {
    return `${this.#before}${this.#prefix}${this.#made++}${this.#after}`;
  }
}

/** One request at a time; the answer has a length, as short answers do. */
class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #answered: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#failed?.(error));
    socket.on('close', () => this.#failed?.(new Error('the connection was closed')));
  }

  request(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(text, 'latin1');
    });
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.latin1Slice(0, headEnd);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (!head.startsWith('HTTP/1.1 200') || length === undefined) {
      const problem = this.#received.toString('utf8').replaceAll('\r\n', ' ').slice(0, 500);
      this.#failed?.(new Error(`the answer is not a 200 with a length: ${problem}`));
      return;
    }
    if (this.#received.length < headEnd + HEAD_END.length + Number(length)) return;
    this.#received = Buffer.alloc(0);
    this.#answered?.();
  }
}
