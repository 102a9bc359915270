import { MeshError, unavailable } from '@eventmesh/errors';
import type { ReadOpen, ReadRequest, ReadResponse } from '@eventmesh/proto-gen/store';
import type { CallContext } from '@eventmesh/rpc';
import type { EventStore, ReadFrom, ReadItem, ReadOptions } from '@eventmesh/store-api';
import type { LiveMetrics, Metrics } from '@eventmesh/telemetry';
import type { StoreGatewaySettings } from './config.ts';
import { STORE_METRICS } from './metrics.ts';

/** Credit of a reader that names none. */
const CREDIT_BYTES = 4 * 1024 * 1024;

type Response = Pick<ReadResponse, 'message'>;

export interface ReadParts {
  readonly store: EventStore;
  readonly settings: StoreGatewaySettings['read'];
  readonly metrics: LiveMetrics<typeof STORE_METRICS>;
  readonly measure: Metrics['measure'];
}

/** One read stream: the first request opens it, the others give credit. */
export async function* readStream(
  { store, settings, metrics, measure }: ReadParts,
  requests: AsyncIterable<ReadRequest>,
  ctx: CallContext,
): AsyncGenerator<Response> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true || first.value.message.case !== 'open') {
    throw new MeshError('InvalidArgument', 'open: must be the first request', { field: 'open' });
  }
  const open = first.value.message.value;
  const given = Number(open.creditBytes);
  const { creditBytesMax } = settings;
  const credit = new Credit(given === 0 ? CREDIT_BYTES : given, creditBytesMax);
  const ended = new AbortController();
  const signal = AbortSignal.any([ctx.signal, ctx.draining, ended.signal]);
  signal.addEventListener('abort', () => credit.end(), { once: true });
  const crediting = takeCredit(iterator, credit, () => ended.abort());
  metrics.reads.inc();
  const stop = measure(STORE_METRICS.unreadBytes, () => credit.unreadBytes);
  try {
    for await (const item of store.read(toOptions(open, credit.window, signal))) {
      if (item.kind === 'batch' && item.records.length > 0) {
        metrics.readRecords.inc(item.records.length);
        await credit.spend(item.records.reduce((sum, { length }) => sum + length, 0));
        if (signal.aborted) break;
      }
      yield toResponse(item);
    }
    // Told apart from an end that was reached: the reader goes on with another gateway.
    if (ctx.draining.aborted) throw unavailable('the store-gateway is stopping');
    if (ended.signal.aborted) await crediting;
  } finally {
    metrics.reads.dec();
    stop();
    ended.abort();
  }
}

/** Never rejects before it is awaited: a failure ends the read and is told then. */
function takeCredit(
  requests: AsyncIterator<ReadRequest>,
  credit: Credit,
  end: () => void,
): Promise<void> {
  const taking = (async () => {
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      const { message } = next.value;
      if (message.case !== 'creditBytes') {
        throw new MeshError('InvalidArgument', 'credit_bytes: only the first request may open', {
          field: 'credit_bytes',
        });
      }
      credit.give(Number(message.value));
    }
  })();
  // The caller has closed its side or broken the rules: either way it reads no more.
  taking.then(end, end);
  return taking;
}

function toOptions(open: ReadOpen, readAheadBytes: number, signal: AbortSignal): ReadOptions {
  return {
    log: open.log,
    partition: open.partition,
    from: toFrom(open.from),
    stopAtEnd: open.stopAtEnd,
    topicFilters: open.topicFilters,
    readAheadBytes,
    signal,
  };
}

function toFrom(from: ReadOpen['from']): ReadFrom {
  switch (from.case) {
    case 'position':
      return { kind: 'position', position: Number(from.value) };
    case 'timeMs':
      return { kind: 'time', timeMs: Number(from.value) };
    case 'tail':
      return { kind: 'tail' };
    case undefined:
      throw new MeshError('InvalidArgument', 'from: name a position, time_ms or tail', {
        field: 'from',
      });
  }
}

function toResponse(item: ReadItem): Response {
  switch (item.kind) {
    case 'opened':
      return { message: { case: 'opened', value: { position: BigInt(item.position) } as never } };
    case 'gap': {
      const value = { fromPosition: BigInt(item.from), toPosition: BigInt(item.to) };
      return { message: { case: 'gap', value: value as never } };
    }
    case 'batch': {
      const { records, upTo } = item;
      const value = { positions: item.positions.map(BigInt), records, upTo: BigInt(upTo) };
      return { message: { case: 'batch', value: value as never } };
    }
  }
}

/** Bytes that may be sent; a batch that is larger than all of it goes when nothing is out. */
class Credit {
  readonly window: number;
  #left: number;
  #ended = false;
  #wake: (() => void) | undefined;

  readonly #max: number;

  constructor(window: number, max: number) {
    this.window = Math.min(window, max);
    this.#max = max;
    this.#left = this.window;
  }

  get unreadBytes(): number {
    return Math.max(0, this.window - this.#left);
  }

  give(bytes: number): void {
    this.#left = Math.min(this.#max, this.#left + bytes);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Waits until that much may be sent, or until the end. */
  async spend(bytes: number): Promise<void> {
    while (!this.#ended && this.#left < bytes && this.#left < this.window) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#left -= bytes;
  }
}
