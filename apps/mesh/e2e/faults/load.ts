import { encodeEvent } from '@eventmesh/event';
import { MeshError, type Delivery, type MeshClient, type Receipt } from '@eventmesh/sdk';
import { HistoryChecker, hashEvent, type CheckReport } from '@eventmesh/tools-checker';
import { eventually } from '@eventmesh/testing';

export const SUBSCRIPTION = 'load';
/** Most deliveries that a consumer has unsettled. */
export const CREDIT = 256;
const PRODUCERS = 2;
const KEYS = 5;
/** Events of a burst; the next one goes out when all are acknowledged. */
const BURST = 10;
const PAUSE_MS = 15;
/** From a delivery to its accept: some are always held, longer than a cursor takes to be written. */
const WORK_MS = 120;
const TENANT = 'default';
/** A call that has told nothing by then is hung, which is a finding of its own. */
const HUNG_MS = 20_000;

const now = (): number => performance.now();
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Burst {
  readonly id: string;
  readonly topic: string;
  readonly event: Uint8Array;
}

export interface LoadOptions {
  readonly publisher: () => MeshClient;
  readonly subscriber: () => MeshClient;
  /** More consumers of the same subscription, which then compete. */
  readonly others?: readonly (() => MeshClient)[];
  /** Events of one key one after the other; it takes many keys then to keep the consumers busy. */
  readonly ordered?: boolean;
  /** Default 5. */
  readonly keys?: number;
}

/**
 * Publishers at one site and a durable subscription at another, all of which begin again after any
 * failure: an event of unknown outcome is published again with the same id until it is
 * acknowledged. Everything is told to the checker as it happens.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #checker = new HistoryChecker({ duplicatesMax: Number.MAX_SAFE_INTEGER });
  readonly #running: Promise<void>[] = [];
  readonly #pending = new Map<string, number>();
  readonly #stop = new AbortController();
  #paused: Promise<void> = Promise.resolve();
  #resume: () => void = () => undefined;
  #active = 0;
  readonly #consumers = new Set<MeshClient>();
  /** When the newest event that has arrived was first sent. */
  #newestArrivedMs = 0;
  /** Refusals that a retry cannot mend, and calls that hung; both must stay empty. */
  readonly faults: string[] = [];
  /** Events acknowledged and delivered so far. */
  acked = 0;
  delivered = 0;
  readonly #sentAt = new Map<string, number>();

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Subscribes, waits until the other site knows of it, then publishes until it is stopped. */
  async start(): Promise<void> {
    const opened = Promise.withResolvers<void>();
    const { subscriber, others = [] } = this.#options;
    this.#running.push(this.#consume(subscriber, opened.resolve));
    await opened.promise;
    for (const other of others) this.#running.push(this.#consume(other, () => undefined));
    const line = { t: now(), op: 'subscribe' as const, sub: SUBSCRIPTION, tenant: TENANT };
    this.#checker.add({ ...line, topicFilters: ['load/#'] });
    for (let n = 0; n < PRODUCERS; n++) this.#running.push(this.#produce(`p${n}`));
  }

  /** Stops sending; resolves when everything sent is acknowledged. */
  async pause(timeoutMs: number): Promise<void> {
    this.#paused = new Promise((resolve) => {
      this.#resume = resolve;
    });
    await eventually(
      () => {
        if (this.#active > 0) throw new Error(`${this.#pending.size} events are unacknowledged`);
      },
      { timeoutMs },
    );
  }

  resume(): void {
    this.#resume();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#resume();
    for (const client of this.#consumers) client.close();
    await Promise.all(this.#running);
  }

  /** Resolves when an event that was first sent after this call has arrived; answers after how long. */
  async flows(timeoutMs: number): Promise<number> {
    const from = now();
    await eventually(
      () => {
        if (this.#newestArrivedMs <= from) {
          throw new Error(`no event sent now has arrived within ${timeoutMs} ms`);
        }
      },
      { timeoutMs },
    );
    return Math.round(now() - from);
  }

  /** Resolves when this many more events have been acknowledged. */
  async accepts(more: number, timeoutMs: number): Promise<void> {
    const wanted = this.acked + more;
    await eventually(
      () => {
        if (this.acked < wanted) throw new Error(`${wanted - this.acked} events are missing`);
      },
      { timeoutMs },
    );
  }

  /** Sends no more, waits until nothing is missing, and judges. */
  async settle(timeoutMs: number): Promise<CheckReport> {
    await this.pause(timeoutMs);
    return eventually(
      () => {
        const report = this.#checker.report();
        if (report.lost.count > 0) throw new Error(`${report.lost.count} events have not arrived`);
        return report;
      },
      { timeoutMs, intervalMs: 100 },
    ).catch(() => this.#checker.report());
  }

  async #produce(name: string): Promise<void> {
    this.#active++;
    let client = this.#options.publisher();
    let publisher = client.publisher();
    for (let round = 0; !this.#stop.signal.aborted; round++) {
      this.#active--;
      await this.#paused;
      this.#active++;
      let open = makeBurst(name, round, this.#options.keys ?? KEYS);
      for (const { id, event, topic } of open) this.#send(name, id, topic, event);
      while (open.length > 0 && !this.#stop.signal.aborted) {
        const outcomes = await this.#publish(publisher, open);
        if (outcomes === undefined) {
          client.close();
          await rest(50);
          client = this.#options.publisher();
          publisher = client.publisher();
        }
        open = open.filter(({ id }, index) => !this.#ended(id, outcomes?.[index]));
        if (open.length > 0) await rest(20);
      }
      await rest(PAUSE_MS);
    }
    this.#active--;
    client.close();
  }

  /** Undefined when the stream is over and nobody knows what became of the events. */
  async #publish(
    publisher: ReturnType<MeshClient['publisher']>,
    open: readonly Burst[],
  ): Promise<(Receipt | MeshError)[] | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const hung = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        this.faults.push(`no outcome within ${HUNG_MS} ms`);
        resolve(undefined);
      }, HUNG_MS);
    });
    try {
      return await Promise.race([publisher.publishMany(open), hung]);
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #send(producer: string, id: string, topic: string, event: Uint8Array): void {
    const t = now();
    this.#sentAt.set(id, t);
    this.#pending.set(id, t);
    const key = topic.slice('load/'.length);
    const hash = hashEvent(event);
    this.#checker.add({ t, op: 'send', id, tenant: TENANT, producer, topic, key, hash });
  }

  /** Whether nothing more is to be done for the event. */
  #ended(id: string, outcome: Receipt | MeshError | undefined): boolean {
    const t = now();
    if (outcome !== undefined && !(outcome instanceof MeshError)) {
      this.#checker.add({ t, op: 'ok', id });
      this.#pending.delete(id);
      this.acked++;
      return true;
    }
    if (outcome === undefined || outcome.retryable) {
      this.#checker.add({ t, op: 'unknown', id, code: outcome?.code ?? 'stream' });
      return false;
    }
    this.faults.push(`${outcome.code}: ${outcome.message}`);
    this.#checker.add({ t, op: 'fail', id, code: outcome.code });
    this.#pending.delete(id);
    return true;
  }

  async #consume(connect: () => MeshClient, opened: () => void): Promise<void> {
    const { signal } = this.#stop;
    const { ordered = false } = this.#options;
    const subscription = { name: SUBSCRIPTION, topicFilters: ['load/#'], ordered };
    while (!signal.aborted) {
      const client = connect();
      this.#consumers.add(client);
      /** Deliveries that are worked on; what a broken stream leaves is never accepted. */
      const held = new Set<NodeJS.Timeout>();
      try {
        // Only the first time: a consumer that comes back must not wait for a site that is down.
        const convergeMs = this.delivered === 0 ? 20_000 : 0;
        const subscriber = client.subscribe({ subscription, credit: CREDIT, convergeMs });
        subscriber.opened.then(opened, () => undefined);
        for await (const delivery of subscriber) {
          const timer = setTimeout(() => {
            held.delete(timer);
            this.#done(delivery);
          }, WORK_MS);
          held.add(timer);
        }
      } catch (error) {
        const { code, message } = MeshError.from(error);
        if (!RETRIED.includes(code) && !signal.aborted) this.faults.push(`${code}: ${message}`);
      }
      for (const timer of held) clearTimeout(timer);
      client.close();
      this.#consumers.delete(client);
      if (this.delivered > 0) {
        this.#checker.add({ t: now(), op: 'detach', sub: SUBSCRIPTION });
        await rest(100);
      }
    }
  }

  /** Only now is it told as received: what a consumer held when it broke off, it has not done. */
  #done({ event, topic, attempt, accept }: Delivery): void {
    const t = now();
    const { id } = event;
    this.delivered++;
    this.#newestArrivedMs = Math.max(this.#newestArrivedMs, this.#sentAt.get(id) ?? 0);
    const hash = hashEvent(event.bytes);
    const line = { t, op: 'recv' as const, sub: SUBSCRIPTION, id, topic, hash, attempt };
    const key = event.text('partitionkey');
    this.#checker.add(key === undefined ? line : { ...line, key });
    accept();
    this.#checker.add({ t, op: 'settle', sub: SUBSCRIPTION, id, outcome: 'accept' });
  }
}

/** Ends of a consuming stream after which a consumer comes again. */
const RETRIED: readonly string[] = ['Unavailable', 'Cancelled', 'Aborted', 'DeadlineExceeded'];

function makeBurst(producer: string, round: number, keys: number): Burst[] {
  return Array.from({ length: BURST }, (_each, n) => {
    const id = `${producer}-${round}-${n}`;
    const key = `k${(round * BURST + n) % keys}`;
    const event = encodeEvent({
      id,
      source: `/load/${producer}`,
      type: 'com.example.load',
      attributes: [['partitionkey', { kind: 'string', value: key }]],
      data: { kind: 'binary', bytes: Buffer.from(`${id} ${'x'.repeat(200)}`) },
    });
    return { id, topic: `load/${key}`, event };
  });
}
