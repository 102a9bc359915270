import type { Entry, Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import type { AppendReceipt, EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import { doubled, jittered } from '@eventmesh/time';
import type { EmesherMetrics } from '../metrics.ts';
import type { DeadLog } from './dead-log.ts';
import { encodeLetter, type Dead } from './letter.ts';
import type { DeadLimitsOf } from './limits.ts';
import type { Settled } from './settled.ts';

export interface DeadLettersDeps {
  readonly site: string;
  readonly store: EventStore;
  readonly log: DeadLog;
  readonly limits: DeadLimitsOf;
  readonly policyRevision: () => number;
  readonly now: () => number;
  readonly metrics: EmesherMetrics;
  readonly logger: Logger;
}

/** A letter that is not durable yet; its event is held by whoever waits. */
interface Waiting {
  readonly dead: Dead;
  readonly signal: AbortSignal | undefined;
  readonly durable: () => void;
}

interface Queue {
  readonly tenant: string;
  waiting: Waiting[];
  /** At the quota. */
  full: boolean;
  failures: number;
  /** Most letters of the next append; one after a refusal, to find the letter that is refused. */
  batchMax: number;
  /** Ends the pause before the next try. */
  hurry: (() => void) | undefined;
}

const BATCH_LETTERS_MAX = 500;
/** Bytes of one append; at least one letter. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** A log may take so many times the quota, while settled letters lie behind an unsettled one. */
const STORED_PER_QUOTA = 2;
/** Longest pause before the next try. */
const PAUSE_MS_MAX = 5000;
const PAUSE_FULL_MS = 1000;

/**
 * Writes dead letters. What cannot be written, because the store is away or the quota is reached, is
 * held and tried again: nothing is dropped, and whoever waits keeps its event unsettled. Letters of a
 * tenant are written together; those of another tenant do not wait for them.
 */
export class DeadLetters {
  readonly #deps: DeadLettersDeps;
  readonly #queues = new Map<string, Queue>();

  constructor(deps: DeadLettersDeps) {
    this.#deps = deps;
  }

  /**
   * Gives events of a subscription up. Resolves once all their letters are durable, however long
   * that takes.
   * @param signal Gives the waiting up, with an error: the events are not settled.
   */
  async write(
    { tenant, name, createdMs }: Pick<Subscription, 'tenant' | 'name' | 'createdMs'>,
    entries: readonly Pick<Entry, 'partition' | 'position' | 'record' | 'attempts' | 'reason'>[],
    signal?: AbortSignal,
  ): Promise<void> {
    const { now, policyRevision } = this.#deps;
    const from = { subscription: name, subscriptionCreatedMs: createdMs };
    const about = { ...from, policyRevision: policyRevision(), deadMs: now() };
    const letters = entries.map(({ partition, position, record, attempts, reason }) => {
      return { ...about, partition, position, record, attempts, cause: reason };
    });
    await this.bury(tenant, letters, signal);
  }

  /** The same for anything that dies. */
  bury(tenant: string, letters: readonly Dead[], signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let left = letters.length;
      if (left === 0) return resolve();
      if (signal?.aborted === true) return reject(givenUp());
      const queue = this.#queue(tenant);
      const gone = () => {
        queue.hurry?.();
        reject(givenUp());
      };
      signal?.addEventListener('abort', gone, { once: true });
      const durable = () => {
        if (--left > 0) return;
        signal?.removeEventListener('abort', gone);
        resolve();
      };
      for (const dead of letters) queue.waiting.push({ dead, signal, durable });
    });
  }

  /** Letters of the tenant that has the most of them waiting; each is held by its subscription. */
  get waiting(): number {
    return Math.max(0, ...[...this.#queues.values()].map(({ waiting }) => waiting.length));
  }

  /** Whether letters of a tenant wait here because it is at its quota. */
  full(tenant: string): boolean {
    return this.#queues.get(tenant)?.full ?? false;
  }

  /** Room was made: whoever waits tries again at once. */
  retry(tenant: string): void {
    this.#queues.get(tenant)?.hurry?.();
  }

  #queue(tenant: string): Queue {
    let queue = this.#queues.get(tenant);
    if (queue === undefined) {
      const batchMax = BATCH_LETTERS_MAX;
      queue = { tenant, waiting: [], full: false, failures: 0, batchMax, hurry: undefined };
      this.#queues.set(tenant, queue);
      void this.#run(queue);
    }
    return queue;
  }

  /** Runs while somebody waits; one writer for a tenant, so that its letters go in groups. */
  async #run(queue: Queue): Promise<void> {
    // What is given up in the same turn goes into the same append.
    await Promise.resolve();
    for (;;) {
      queue.waiting = queue.waiting.filter(({ signal }) => signal?.aborted !== true);
      if (queue.waiting.length === 0) break;
      try {
        const written = await this.#writeSome(queue);
        this.#tellFull(queue, !written);
        queue.failures = 0;
        if (written) queue.batchMax = Math.min(BATCH_LETTERS_MAX, queue.batchMax * 2);
        else await pause(queue, PAUSE_FULL_MS);
      } catch (error) {
        await this.#failed(queue, MeshError.from(error));
      }
    }
    this.#tellFull(queue, false);
    this.#queues.delete(queue.tenant);
  }

  /** A letter that the store will never take must not hold up those behind it. */
  async #failed(queue: Queue, error: MeshError): Promise<void> {
    const { tenant, waiting, batchMax } = queue;
    if (!error.retryable && batchMax > 1 && waiting.length > 1) {
      queue.batchMax = 1;
      return;
    }
    if (!error.retryable) queue.waiting = [...waiting.slice(1), ...waiting.slice(0, 1)];
    queue.failures++;
    const facts = { err: error.cause ?? error, code: error.code, tenant, held: waiting.length };
    this.#deps.logger.warn(facts, 'dead letters could not be written; their events are held');
    await pause(queue, doubled(100, PAUSE_MS_MAX, queue.failures));
  }

  /** Appends what fits under the quota; false when nothing does. */
  async #writeSome(queue: Queue): Promise<boolean> {
    const { site, log, limits } = this.#deps;
    const { tenant } = queue;
    await log.ensure(tenant);
    const { bytesMax } = limits(tenant);
    const { bytes, storedBytes, settled } = await log.stats(tenant);
    let room = Math.min(bytesMax - bytes, bytesMax * STORED_PER_QUOTA - storedBytes);
    const batch: Waiting[] = [];
    const records: Buffer[] = [];
    let size = 0;
    for (const waiting of queue.waiting) {
      const record = encodeLetter(site, waiting.dead);
      room -= record.length;
      if (room < 0 || batch.length === queue.batchMax) break;
      if (batch.length > 0 && size + record.length > BATCH_BYTES_MAX) break;
      size += record.length;
      batch.push(waiting);
      records.push(record);
    }
    if (batch.length === 0) return false;
    const keys = batch.map(({ dead }) => keyOf(dead));
    const receipt = await this.#append(tenant, records, keys);
    const again = settledBefore(receipt, settled);
    if (again.size > 0) {
      const indexes = [...again.keys()];
      await this.#append(
        tenant,
        indexes.map((index) => records[index] ?? NO_BYTES),
        indexes.map((index) => `${keys[index]}/${again.get(index)}`),
      );
    }
    // Only now: what waits is held by its subscription until its letter is on disk.
    queue.waiting = queue.waiting.slice(batch.length);
    for (const { durable } of batch) durable();
    return true;
  }

  #append(
    tenant: string,
    records: readonly Uint8Array[],
    keys: readonly string[],
  ): Promise<AppendReceipt> {
    const { store, log } = this.#deps;
    return store.append({
      log: log.name(tenant),
      partition: 0,
      records: records.map((bytes, index) => ({ bytes, dedupKey: keys[index] ?? '' })),
    });
  }

  /** The alarm; said once when it begins and once when it ends. */
  #tellFull(queue: Queue, full: boolean): void {
    if (queue.full === full) return;
    queue.full = full;
    const { metrics, logger, limits } = this.#deps;
    const { tenant } = queue;
    metrics.deadLettersFull.set({ tenant }, full ? 1 : 0);
    if (full) {
      logger.warn(
        { tenant, bytesMax: limits(tenant).bytesMax, held: queue.waiting.length },
        'the dead letters are at their quota; what cannot be delivered is held. Redrive or purge some',
      );
    } else logger.info({ tenant }, 'there is room for dead letters again');
  }
}

const NO_BYTES = new Uint8Array(0);

const givenUp = (): MeshError =>
  new MeshError('Cancelled', 'the wait for the dead letters was given up');

/**
 * A crash between the letter and the cursor must not make two of one event. One that a later
 * subscription of the same name gives up is another: it died of something else, at another time. When
 * a subscription was made stays through all its changes.
 */
const keyOf = ({ subscription, subscriptionCreatedMs, partition, position }: Dead): string =>
  `${subscription}/${subscriptionCreatedMs}/${partition}/${position}`;

/**
 * Letters that were there before and have been redriven or purged since: the event died once more,
 * as after a seek, and needs a new letter. By index, with the position of the old one.
 */
function settledBefore(
  { duplicates, positions }: AppendReceipt,
  settled: Settled,
): ReadonlyMap<number, number> {
  const again = new Map<number, number>();
  for (const index of duplicates) {
    const position = positions[index] ?? 0;
    if (settled.has(position)) again.set(index, position);
  }
  return again;
}

/** Waits so long, or until somebody is in a hurry. */
async function pause(queue: Queue, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, jittered(ms));
    queue.hurry = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  queue.hurry = undefined;
}
