import type { Msg, Subscription } from '@nats-io/nats-core';
import { API_ERROR, apiCode } from './api-error.ts';
import { ask } from './ask.ts';
import type { Connection } from './connection.ts';
import { deliveryOf, statusCode } from './raw-message.ts';
import { streamGone } from './streams.ts';

export interface Delivered {
  readonly position: number;
  /** Messages after this one that the filters select. */
  readonly pending: number;
  readonly message: Msg;
}

export interface PullOptions {
  readonly stream: string;
  /** First position wanted. */
  readonly from: number;
  /** Empty: all. */
  readonly subjects: readonly string[];
  /** Bytes that may be on their way or waiting here. */
  readonly bytesMax: number;
  /** Leave the payload out. */
  readonly headersOnly?: boolean;
}

const PULL_EXPIRES_MS = 3000;
/** A filtered reader that finds nothing tells how far was looked each time a pull ends. */
const FILTERED_PULL_EXPIRES_MS = 1000;
/** The server tells the end of each pull; this much later it is taken for dead. */
const PULL_GRACE_MS = 2000;
const PULL_MESSAGES_MAX = 1000;
const INACTIVE_MS = 60_000;
const MS_TO_NS = 1_000_000;

/**
 * A consumer of a stream that takes messages by paced pulls. It lives until something goes wrong
 * (`failed`); its owner then makes a new one from the next position.
 */
export class StreamPull {
  /** Messages the filters selected when the consumer was made. */
  readonly pendingAtStart: number;
  readonly #connection: Connection;
  readonly #options: PullOptions;
  readonly #consumer: string;
  readonly #subscription: Subscription;
  readonly #offLost: () => void;
  #buffer: Delivered[] = [];
  #bufferBytes = 0;
  #pulling = false;
  #pullGot = 0;
  #pullWanted = 0;
  #alone = false;
  #deadline = 0;
  #idle = false;
  #failed = false;
  readonly #expiresMs: number;
  #wake: (() => void) | undefined;

  /** @throws MeshError NotFound when the stream is gone, Unavailable otherwise. */
  static async open(connection: Connection, options: PullOptions): Promise<StreamPull> {
    const { stream, from, subjects, headersOnly = false } = options;
    const add = () =>
      connection.jsm.consumers.add(stream, {
        // A new name for each attempt: one that was given to a dead server stays there.
        name: `read-${crypto.randomUUID()}`,
        ack_policy: 'none',
        deliver_policy: 'by_start_sequence' as never,
        opt_start_seq: Math.max(1, from),
        ...(subjects.length === 0 ? {} : { filter_subjects: [...subjects] }),
        headers_only: headersOnly,
        inactive_threshold: INACTIVE_MS * MS_TO_NS,
        mem_storage: true,
        num_replicas: 1,
      });
    try {
      const info = await ask(connection, add);
      return new StreamPull(connection, options, info.name, info.num_pending);
    } catch (error) {
      if (apiCode(error) === API_ERROR.streamNotFound) throw streamGone(stream, error);
      throw error;
    }
  }

  private constructor(
    connection: Connection,
    options: PullOptions,
    consumer: string,
    pendingAtStart: number,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#expiresMs = options.subjects.length === 0 ? PULL_EXPIRES_MS : FILTERED_PULL_EXPIRES_MS;
    this.#consumer = consumer;
    this.pendingAtStart = pendingAtStart;
    this.#subscription = connection.nc.subscribe(`_INBOX.eventmesh.${crypto.randomUUID()}`, {
      callback: (error, message) => {
        if (error === null) this.#received(message);
        else this.#fail();
      },
    });
    this.#offLost = connection.onLost(() => this.#fail());
    connection.pulls.add(this);
  }

  /** Bytes that have come and were not taken. */
  get bytes(): number {
    return this.#bufferBytes;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /**
   * What has come, waiting for it if need be. Empty: nothing new for some seconds, the signal was
   * aborted, or it failed.
   *
   * @param due whether there is something to come, so that waiting for it makes no sense
   */
  async next(signal?: AbortSignal, due = false): Promise<Delivered[]> {
    this.#idle = false;
    for (;;) {
      this.#pull(due);
      if (this.#buffer.length > 0) {
        const buffer = this.#buffer;
        this.#buffer = [];
        this.#bufferBytes = 0;
        return buffer;
      }
      if (this.#failed || this.#idle || signal?.aborted === true) return [];
      await this.#news(signal);
      if (Date.now() > this.#deadline) this.#fail();
    }
  }

  close(): void {
    this.#offLost();
    this.#connection.pulls.delete(this);
    this.#subscription.unsubscribe();
    if (!this.#connection.up) return;
    // If this is not heard, it goes by itself after its time of inactivity, or went with the server.
    const { consumers } = this.#connection.jsm;
    void consumers.delete(this.#options.stream, this.#consumer).catch(() => undefined);
  }

  #pull(due: boolean): void {
    const half = this.#options.bytesMax / 2;
    if (this.#pulling || this.#failed || this.#bufferBytes > half) return;
    if (!this.#connection.up) {
      this.#fail();
      return;
    }
    this.#pulling = true;
    this.#pullGot = 0;
    this.#pullWanted = this.#alone ? 1 : PULL_MESSAGES_MAX;
    this.#deadline = Date.now() + this.#expiresMs + PULL_GRACE_MS;
    const request = {
      batch: this.#pullWanted,
      ...(due ? { no_wait: true } : { expires: this.#expiresMs * MS_TO_NS }),
      ...(this.#alone ? {} : { max_bytes: Math.max(1024, Math.floor(half)) }),
    };
    this.#alone = false;
    this.#connection.nc.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#options.stream}.${this.#consumer}`,
      JSON.stringify(request),
      { reply: this.#subscription.getSubject() },
    );
  }

  #received(message: Msg): void {
    const code = statusCode(message);
    if (code === 0) {
      this.#buffer.push({ ...deliveryOf(message), message });
      this.#bufferBytes += message.data.length;
      this.#pullGot++;
      if (this.#pullGot === this.#pullWanted) this.#pulling = false;
    } else if (code === 404 || code === 408) {
      this.#idle = this.#pullGot === 0;
      this.#pulling = false;
    } else if (code === 409 && /exceeds maxbytes/i.test(message.headers?.description ?? '')) {
      // The next message alone is larger than a pull may be: it is taken by itself.
      this.#alone = this.#pullGot === 0;
      this.#pulling = false;
    } else if (code === 409 && /batch completed/i.test(message.headers?.description ?? '')) {
      // Said after the last message of a pull, which was counted already.
      return;
    } else if (code !== 100) {
      this.#failed = true;
    }
    this.#wake?.();
  }

  #fail(): void {
    this.#failed = true;
    this.#wake?.();
  }

  #news(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.max(1, this.#deadline - Date.now() + 1));
      this.#wake = done;
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
