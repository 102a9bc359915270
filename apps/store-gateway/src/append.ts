import { MeshError } from '@eventmesh/errors';
import type { AppendRequest, AppendResponse } from '@eventmesh/proto-gen/store';
import { AsyncQueue, toFailure, type CallContext } from '@eventmesh/rpc';
import type { AppendBatch, AppendReceipt, EventStore } from '@eventmesh/store-api';
import { durabilityToWire } from '@eventmesh/store-remote';
import type { LiveMetrics, Metrics } from '@eventmesh/telemetry';
import type { StoreGatewaySettings } from './config.ts';
import type { DurabilityWatch } from './durability-watch.ts';
import { STORE_METRICS } from './metrics.ts';

export interface AppendParts {
  readonly store: EventStore;
  readonly durability: DurabilityWatch;
  readonly settings: StoreGatewaySettings['append'];
  readonly metrics: LiveMetrics<typeof STORE_METRICS>;
  readonly measure: Metrics['measure'];
}

type Response = Pick<AppendResponse, 'requestId' | 'outcome'>;

interface Answer {
  readonly bytes: number;
  /** Never rejects. */
  readonly response: Promise<Response>;
}

/**
 * One append stream: requests go to the store as they come, answers go back in order. What waits
 * for the store, or for the caller to read its receipts, is bounded; beyond it nothing is read, and the caller feels HTTP/2's flow control.
 * Batches of different streams meet in the store's group commit.
 */
export async function* appendStream(
  parts: AppendParts,
  requests: AsyncIterable<AppendRequest>,
  ctx: CallContext,
): AsyncGenerator<Response> {
  const answers = new AsyncQueue<Answer>();
  const window = new Window(parts.settings.windowRecords, parts.settings.windowBytes);
  const stops = [
    parts.measure(STORE_METRICS.appendsWaiting, () => window.requests),
    parts.measure(STORE_METRICS.appendWindowBytes, () => window.bytes),
  ];
  const reading = (async () => {
    for await (const request of requests) {
      if (ctx.draining.aborted) break;
      const bytes = request.records.reduce((sum, { length }) => sum + length, 0);
      await window.take(bytes);
      if (window.closed) break;
      answers.push({ bytes, response: answer(parts, request) });
    }
  })();
  reading.then(
    () => answers.end(),
    (error: unknown) => answers.end(error),
  );
  // A caller that sends nothing would hold up the drain of the server.
  const drain = () => answers.end();
  ctx.draining.addEventListener('abort', drain, { once: true });
  try {
    for await (const { bytes, response } of answers) {
      yield await response;
      window.give(bytes);
    }
  } finally {
    for (const stop of stops) stop();
    window.close();
    ctx.draining.removeEventListener('abort', drain);
  }
}

async function answer(parts: AppendParts, request: AppendRequest): Promise<Response> {
  const { requestId } = request;
  const { metrics } = parts;
  const start = performance.now();
  try {
    parts.durability.check();
    const batch = toBatch(request);
    const receipt = await parts.store.append(batch);
    countAppend(parts, batch, receipt);
    return { requestId, outcome: { case: 'receipt', value: receiptToWire(receipt) } };
  } catch (thrown) {
    const error = MeshError.from(thrown);
    metrics.appendFailures.inc({ code: error.code });
    return { requestId, outcome: { case: 'failure', value: toFailure(error) as never } };
  } finally {
    metrics.appendSeconds.observe((performance.now() - start) / 1000);
  }
}

function toBatch(request: AppendRequest): AppendBatch {
  const { log, partition, records, dedupKeys, producer, session } = request;
  if (dedupKeys.length > 0 && dedupKeys.length !== records.length) {
    throw new MeshError('InvalidArgument', 'dedup_keys: must be empty or parallel to records', {
      field: 'dedup_keys',
    });
  }
  return {
    log,
    partition,
    records: records.map((bytes, index) => {
      const dedupKey = dedupKeys[index] ?? '';
      return dedupKey === '' ? { bytes } : { bytes, dedupKey };
    }),
    ...(producer === undefined
      ? {}
      : {
          producer: {
            id: producer.id,
            previous: Number(producer.previous),
            last: Number(producer.last),
          },
        }),
    ...(session === undefined
      ? {}
      : {
          session: {
            id: session.id,
            epoch: Number(session.epoch),
            sequences: session.sequences.map(Number),
          },
        }),
  };
}

const receiptToWire = ({ positions, duplicates, durability }: AppendReceipt) =>
  ({
    positions: positions.map(BigInt),
    duplicates: [...duplicates],
    durability: durabilityToWire(durability),
  }) as never;

function countAppend({ metrics }: AppendParts, batch: AppendBatch, receipt: AppendReceipt): void {
  const { log, records } = batch;
  const duplicates = receipt.duplicates.length;
  metrics.appendedRecords.inc({ log }, records.length - duplicates);
  if (duplicates > 0) {
    metrics.duplicateRecords.inc({ log }, duplicates);
    const repeated = new Set(receipt.duplicates);
    const fresh = records.filter((_record, index) => !repeated.has(index));
    metrics.appendedBytes.inc({ log }, bytesOf(fresh));
  } else {
    metrics.appendedBytes.inc({ log }, bytesOf(records));
  }
}

const bytesOf = (records: readonly { readonly bytes: Uint8Array }[]): number =>
  records.reduce((sum, { bytes }) => sum + bytes.length, 0);

/** Bounds requests and bytes; one request always fits. For one taker. */
class Window {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #count = 0;
  #bytes = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get requests(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Lets the taker go on to its end. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async take(bytes: number): Promise<void> {
    while (
      !this.#closed &&
      this.#count > 0 &&
      (this.#count >= this.#countMax || this.#bytes + bytes > this.#bytesMax)
    ) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#count++;
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#count--;
    this.#bytes -= bytes;
    this.#wake?.();
  }
}
