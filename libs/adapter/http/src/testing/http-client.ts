import {
  type Agent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { connect } from 'node:net';
import type { MeshPort, ProtocolAdapter } from '@eventmesh/adapter-api';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { createHttpAdapter } from '../adapter.ts';
import { httpAdapterConfig, type HttpAdapterOptions } from '../options.ts';

/** What the specs of this adapter share: an adapter on a free port, and a bare HTTP client. */

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export const options = (change: Partial<HttpAdapterOptions> = {}): HttpAdapterOptions => ({
  ...httpAdapterConfig.compile({ port: 0 } as never, ''),
  ...change,
});

/** `faults` collects what is logged as an error: a spec can say that there was nothing. */
export function makeAdapter(
  port: MeshPort,
  change: Partial<HttpAdapterOptions> = {},
  faults: string[] = [],
  metrics = new Metrics(),
): ProtocolAdapter {
  const destination = { write: (line: string) => void faults.push(line) };
  const log = createLogger({ level: 'error', service: 'test', destination });
  return createHttpAdapter(options(change), port, { log, metrics });
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
  /** Default alice's. */
  readonly authorization?: string | undefined;
  /** To keep a connection; default one for this call alone. */
  readonly agent?: Agent;
  /** Leaves before the answer. */
  readonly signal?: AbortSignal;
}

/** One call on a connection of its own. */
export async function call(address: string, given: Call): Promise<Answer> {
  const response = await respond(address, given);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

export function respond(address: string, given: Call): Promise<IncomingMessage> {
  const [host, port] = address.split(':');
  const authorization = 'authorization' in given ? given.authorization : 'Bearer alice';
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = httpRequest(
    {
      host,
      port,
      agent: given.agent ?? false,
      ...(given.signal === undefined ? {} : { signal: given.signal }),
      method: given.method ?? (given.body === undefined ? 'GET' : 'POST'),
      path: given.path,
      headers: { ...(authorization === undefined ? {} : { authorization }), ...given.headers },
    },
    resolve,
  );
  outgoing.on('error', reject);
  outgoing.end(given.body);
  return promise;
}

/** Sends bytes as they are and returns all that comes back until the server closes. */
export async function raw(address: string, bytes: string | Buffer): Promise<string> {
  const [host = '', port] = address.split(':');
  const socket = connect(Number(port), host);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

export interface SseEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** An SSE stream, parsed as the HTML standard says. */
export class SseClient {
  readonly response: IncomingMessage;
  readonly events: SseEvent[] = [];
  readonly comments: string[] = [];
  readonly ended: Promise<void>;
  retry: string | undefined;
  onMessage: ((event: SseEvent) => void) | undefined;
  #rest = '';

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#feed(chunk));
    // A cut connection ends the stream, too.
    response.on('error', () => undefined);
    this.ended = new Promise((resolve) => response.once('close', resolve));
  }

  /** @throws Answer as an error value when the server did not answer 200. */
  static async open(address: string, given: Call): Promise<SseClient | Answer> {
    const response = await respond(address, given);
    if (response.statusCode === 200) return new SseClient(response);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  }

  /** CloudEvents and envelopes: events without a name. */
  get messages(): readonly SseEvent[] {
    return this.events.filter(({ event }) => event === 'message');
  }

  named(event: string): readonly SseEvent[] {
    return this.events.filter((one) => one.event === event);
  }

  close(): Promise<void> {
    this.response.destroy();
    return this.ended;
  }

  #feed(chunk: string): void {
    this.#rest += chunk;
    if (!chunk.includes('\n')) return;
    const blocks = this.#rest.split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) this.#block(block.split('\n'));
  }

  #block(lines: readonly string[]): void {
    let event = 'message';
    let id = '';
    const data: string[] = [];
    for (const line of lines) {
      const colon = line.indexOf(':');
      const field = line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /, '');
      if (field === '') this.comments.push(value);
      else if (field === 'event') event = value;
      else if (field === 'id') id = value;
      else if (field === 'data') data.push(value);
      else if (field === 'retry') this.retry = value;
    }
    if (data.length === 0) return;
    const made = { event, id, data: data.join('\n') };
    this.events.push(made);
    if (event === 'message') this.onMessage?.(made);
  }
}

export async function openSse(address: string, given: Call): Promise<SseClient> {
  const opened = await SseClient.open(address, given);
  if (opened instanceof SseClient) return opened;
  throw new Error(`${opened.status}: ${opened.text}`);
}
