import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type {
  Attachment,
  Delivery,
  DeliverySink,
  Gap,
  Principal,
  Session,
} from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { bytesOf, envelopeJson, eventJson } from './delivery-json.ts';
import { problemOf, type Problem } from './problem.ts';
import { formatToken, placeOf } from './sse-token.ts';

export interface SseStreamOptions {
  /** `auto`: accepted once written to the socket. `explicit`: accepted by a settle call. */
  readonly ack: 'auto' | 'explicit';
  /** Data is the delivery with the event inside, instead of the event alone. */
  readonly envelope: boolean;
  readonly creditEvents: number;
  readonly creditBytes: number;
  readonly stallMaxMs: number;
  /** Records that the client has received on a former connection. */
  readonly received: Set<string>;
}

/** Why a stream ends: a problem, or that a replay lane is through. */
type Ending = Problem | typeof COMPLETE;

const COMPLETE = Object.freeze({
  title: 'Complete',
  status: 200,
  detail: 'the replay is through',
  reason: 'COMPLETE',
});

interface Written {
  readonly sequence: number;
  readonly place: string;
}

/**
 * One SSE response as a consumer. Credit comes back only as the socket drains, so at most the first
 * credit waits in memory however slowly the client reads.
 *
 * Life: made → `open` (head written, credit given) → ended by the client, the mesh, the drain, the
 * end of its credential or a stall; `closed` resolves after the detach.
 */
export class SseStream implements DeliverySink {
  readonly principal: Principal;
  readonly connection = randomBytes(8).toString('hex');
  readonly closed: Promise<void>;
  readonly #session: Session;
  readonly #response: ServerResponse;
  readonly #options: SseStreamOptions;
  /** What came before the head was written. */
  #early: string[] = [];
  #attachment: Attachment | undefined;
  #sequence = 0;
  #pendingWrites = 0;
  /** Of events that are written and not known to be flushed. */
  #unflushedBytes = 0;
  #lastProgressMs = Date.now();
  /** Written and not known to be flushed, by sequence. */
  readonly #unflushed = new Map<number, Written>();
  #ending: Ending | undefined;

  constructor(response: ServerResponse, session: Session, options: SseStreamOptions) {
    this.#response = response;
    this.#session = session;
    this.principal = session.principal;
    this.#options = options;
    this.closed = new Promise((resolve) => response.once('close', resolve));
  }

  get attachment(): Attachment {
    if (this.#attachment === undefined) throw new MeshError('Internal', 'the stream is not open');
    return this.#attachment;
  }

  get explicit(): boolean {
    return this.#options.ack === 'explicit';
  }

  /** Deliveries that the client may or may not have received. */
  get doubtful(): readonly Written[] {
    return [...this.#unflushed.values()];
  }

  /** Events that are written and not known to be flushed. */
  get waiting(): number {
    return this.#unflushed.size;
  }

  get waitingBytes(): number {
    return this.#unflushedBytes;
  }

  /** Writes the head and begins to take deliveries. Once. */
  open(attachment: Attachment): void {
    this.#attachment = attachment;
    const { subscription, consumer, replayId, convergedSites, unreachableSites } = attachment;
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const about = { subscription: subscription.name, consumer, replayId };
    const opened = { ...about, convergedSites, unreachableSites };
    this.#write(`retry: 1000\nevent: opened\ndata: ${JSON.stringify(opened)}\n\n`);
    for (const text of this.#early) this.#write(text);
    this.#early = [];
    if (this.#ending !== undefined) this.#finish();
    else attachment.credit(this.#options.creditEvents, this.#options.creditBytes);
  }

  deliver(deliveries: readonly Delivery[]): void {
    const fresh = deliveries.filter((delivery) => !this.#receivedBefore(delivery));
    if (fresh.length === 0) return;
    const chunks: Buffer[] = [];
    const first = this.#sequence + 1;
    for (const delivery of fresh) {
      const sequence = ++this.#sequence;
      const id = formatToken(delivery, this.connection, sequence);
      this.#unflushed.set(sequence, { sequence, place: placeOf(delivery) });
      const json = this.#options.envelope ? envelopeJson(delivery) : eventJson(delivery);
      chunks.push(Buffer.from(`id: ${id}\ndata: `), sseLines(json), END);
    }
    this.#unflushedBytes += bytesOf(fresh);
    const last = this.#sequence;
    this.#write(Buffer.concat(chunks), () => this.#flushed(fresh, first, last));
  }

  /** Received on the former connection: accepted now, and not sent again. */
  #receivedBefore(delivery: Delivery): boolean {
    if (!this.#options.received.delete(placeOf(delivery))) return false;
    this.attachment.settle([delivery.id], { kind: 'accept' });
    this.attachment.credit(1, delivery.event.length);
    return true;
  }

  #flushed(deliveries: readonly Delivery[], first: number, last: number): void {
    for (let sequence = first; sequence <= last; sequence++) this.#unflushed.delete(sequence);
    const bytes = bytesOf(deliveries);
    this.#unflushedBytes -= bytes;
    if (!this.explicit) {
      this.attachment.settle(
        deliveries.map(({ id }) => id),
        { kind: 'accept' },
      );
    }
    this.attachment.credit(deliveries.length, bytes);
  }

  gap(gap: Gap): void {
    this.#write(`event: gap\ndata: ${JSON.stringify(gap)}\n\n`);
  }

  /** Told to who settles explicitly; what is settled by being written just comes again. */
  refused(ids: readonly number[]): void {
    if (this.explicit) this.#write(`event: refused\ndata: ${JSON.stringify({ ids })}\n\n`);
  }

  ended(reason: MeshError | undefined): void {
    this.#end(reason === undefined ? COMPLETE : problemOf(reason));
  }

  /** Ends the stream with an `ended` event that says why. Idempotent. */
  #end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    if (this.#attachment !== undefined) this.#finish();
  }

  #finish(): void {
    this.#response.end(`event: ended\ndata: ${JSON.stringify(this.#ending ?? COMPLETE)}\n\n`);
  }

  /** The emesher drains: a comment, a short pause before the client comes back, the end. */
  drain(): void {
    if (this.#ending !== undefined) return;
    this.#ending = problemOf(new MeshError('Unavailable', 'the emesher is draining'));
    this.#response.end(': draining\nretry: 1000\n\n');
  }

  /** Called at every heartbeat: keeps the connection alive, or finds that it should end. */
  beat(nowMs: number): void {
    if (this.#attachment === undefined || this.#ending !== undefined) return;
    const { expiresMs } = this.#session;
    if (expiresMs !== 0 && nowMs >= expiresMs) {
      this.#end(problemOf(new MeshError('Unauthenticated', 'the credential has expired')));
    } else if (this.#pendingWrites === 0) {
      this.#write(':\n\n');
    } else if (nowMs - this.#lastProgressMs > this.#options.stallMaxMs) {
      this.cut();
    }
  }

  cut(): void {
    this.#response.destroy();
  }

  #write(chunk: string | Buffer, flushed?: () => void): void {
    if (!this.#response.headersSent) {
      this.#early.push(String(chunk));
      return;
    }
    if (this.#response.writableEnded || this.#response.destroyed) return;
    if (this.#pendingWrites++ === 0) this.#lastProgressMs = Date.now();
    this.#response.write(chunk, (error) => {
      this.#pendingWrites--;
      this.#lastProgressMs = Date.now();
      if (error === null || error === undefined) flushed?.();
    });
  }
}

const END = Buffer.from('\n\n');

/** JSON as SSE data: a line break, which in JSON is only white space, starts another data line. */
function sseLines(json: Buffer): Buffer {
  if (!json.includes(0x0a) && !json.includes(0x0d)) return json;
  return Buffer.from(json.toString('utf8').replace(/\r\n|\n|\r/g, '\ndata: '));
}
