import { NumberMap } from '@eventmesh/collections';
import { MeshError, unavailable } from '@eventmesh/errors';
import type { AppendResponse, EventStoreService } from '@eventmesh/proto-gen/store';
import { AsyncQueue, fromFailure, type Client, type PreEncoded } from '@eventmesh/rpc';
import {
  storeBusy,
  storeClosed,
  type AppendBatch,
  type AppendReceipt,
  type ProducerSession,
} from '@eventmesh/store-api';
import { encodeAppend } from './encode-append.ts';
import type { RemoteStoreOptions } from './options.ts';
import { durabilityFromWire } from './wire.ts';

/** A frame takes what has gathered, up to this. */
const FRAME_BYTES = 256 * 1024;
const FRAME_RECORDS_MAX = 1000;
const SWEEP_MS = 250;

/** See `RemoteStoreOptions`. */
export type AppendLimits = Required<
  Pick<RemoteStoreOptions, 'pendingBytesMax' | 'framesInFlightMax' | 'appendTimeoutMs'>
>;

interface Work {
  /** Until it is sent: then only the number of its records is kept. */
  batch: AppendBatch | undefined;
  readonly count: number;
  readonly bytes: number;
  readonly resolve: (receipt: AppendReceipt) => void;
  readonly reject: (error: MeshError) => void;
}

interface Frame {
  readonly lane: Lane;
  readonly works: readonly Work[];
  readonly deadline: number;
}

interface Lane {
  queue: Work[];
  inFlight: number;
}

/**
 * One append stream for all partitions. While frames are in flight, appends without a producer
 * and of one session gather and go as one frame: all or nothing as a whole keeps each of them so.
 * When the stream breaks, everything unanswered is told Unavailable; the next append opens anew.
 */
export class AppendStream {
  readonly #client: Client<typeof EventStoreService>;
  readonly #limits: AppendLimits;
  readonly #lanes = new Map<string, Lane>();
  readonly #frames = new NumberMap<Frame>();
  #requests: AsyncQueue<PreEncoded> | undefined;
  #cancel = new AbortController();
  #nextId = 0;
  #sweep: NodeJS.Timeout | undefined;
  #idle: (() => void)[] = [];
  #closed = false;
  /** Of records that are not answered. */
  #pendingBytes = 0;

  constructor(client: Client<typeof EventStoreService>, limits: AppendLimits) {
    this.#client = client;
    this.#limits = limits;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Frames that the busiest partition has on their way. */
  get inFlight(): number {
    return Math.max(0, ...[...this.#lanes.values()].map(({ inFlight }) => inFlight));
  }

  append(batch: AppendBatch, bytes: number): Promise<AppendReceipt> {
    if (this.#closed) return Promise.reject(storeClosed());
    const { pendingBytesMax, framesInFlightMax } = this.#limits;
    if (this.#pendingBytes + bytes > pendingBytesMax) {
      return Promise.reject(storeBusy(pendingBytesMax));
    }
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      const key = `${batch.partition}/${batch.log}`;
      let lane = this.#lanes.get(key);
      if (lane === undefined) this.#lanes.set(key, (lane = { queue: [], inFlight: 0 }));
      const count = batch.records.length;
      lane.queue.push({ batch, count, bytes, resolve, reject });
      if (lane.inFlight < framesInFlightMax) this.#send(lane);
    });
  }

  /** Waits for what is in flight, then ends the stream. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    clearInterval(this.#sweep);
    this.#requests?.end();
    this.#cancel.abort();
  }

  get #busy(): boolean {
    return this.#frames.size > 0;
  }

  #send(lane: Lane): void {
    const { framesInFlightMax, appendTimeoutMs } = this.#limits;
    while (lane.queue.length > 0 && lane.inFlight < framesInFlightMax) {
      const works = takeFrame(lane);
      const requestId = ++this.#nextId;
      lane.inFlight++;
      this.#frames.set(requestId, { lane, works, deadline: Date.now() + appendTimeoutMs });
      this.#open().push(encodeAppend(BigInt(requestId), works.map(takeBatch)));
    }
  }

  #open(): AsyncQueue<PreEncoded> {
    if (this.#requests !== undefined) return this.#requests;
    const requests = new AsyncQueue<PreEncoded>();
    this.#requests = requests;
    this.#cancel = new AbortController();
    this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS);
    this.#sweep.unref();
    void this.#receive(requests, this.#cancel.signal);
    return requests;
  }

  async #receive(requests: AsyncQueue<PreEncoded>, signal: AbortSignal): Promise<void> {
    let cause: unknown;
    try {
      for await (const response of this.#client.append(requests, { signal })) {
        this.#settle(response);
      }
    } catch (error) {
      cause = error;
    }
    // A stream that was given up already has been answered for.
    if (this.#requests === requests) this.#broken(cause);
  }

  #settle(response: AppendResponse): void {
    const requestId = Number(response.requestId);
    const frame = this.#frames.get(requestId);
    if (frame === undefined) return;
    this.#frames.delete(requestId);
    const { lane, works } = frame;
    lane.inFlight--;
    for (const { bytes } of works) this.#pendingBytes -= bytes;
    const { outcome } = response;
    if (outcome.case === 'receipt') {
      splitReceipt(works, {
        positions: outcome.value.positions.map(Number),
        duplicates: outcome.value.duplicates,
        durability: durabilityFromWire(outcome.value.durability),
      });
    } else {
      const error =
        outcome.case === 'failure'
          ? fromFailure(outcome.value)
          : unavailable('the gateway answered without an outcome');
      for (const { reject } of works) reject(error);
    }
    this.#send(lane);
    this.#tellIdle();
  }

  #expire(): void {
    const now = Date.now();
    const late = [...this.#frames.values()].some(({ deadline }) => deadline < now);
    if (late) this.#broken(new Error(`no receipt within ${this.#limits.appendTimeoutMs} ms`));
  }

  /** Nobody knows what became of the frames; what was not sent yet is not tried either. */
  #broken(cause: unknown): void {
    const frames = [...this.#frames.values()];
    this.#frames.clear();
    this.#requests?.end();
    this.#requests = undefined;
    this.#cancel.abort();
    const error = outcomeUnknown(cause);
    const works = frames.flatMap((frame) => frame.works);
    for (const lane of this.#lanes.values()) {
      works.push(...lane.queue);
      lane.queue = [];
      lane.inFlight = 0;
    }
    this.#pendingBytes = 0;
    for (const { reject } of works) reject(error);
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#busy) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function outcomeUnknown(cause: unknown): MeshError {
  // A refusal of the call as a whole, such as a missing credential, is told as it is.
  if (cause instanceof MeshError && !['Cancelled', 'Unavailable'].includes(cause.code))
    return cause;
  return unavailable(
    'the append stream to the store-gateway broke; the outcome is not known',
    cause,
  );
}

/** Encoded, a batch is needed no more: frames may be long on their way. */
function takeBatch(work: Work): AppendBatch {
  const batch = work.batch as AppendBatch;
  work.batch = undefined;
  return batch;
}

function takeFrame(lane: Lane): Work[] {
  const works: Work[] = [];
  let records = 0;
  let bytes = 0;
  for (const work of lane.queue) {
    const { batch, count: more } = work;
    const alone = batch?.producer !== undefined;
    const [first] = works;
    if (first !== undefined) {
      if (!sameSession(first.batch?.session, batch?.session)) break;
      if (alone || bytes + work.bytes > FRAME_BYTES || records + more > FRAME_RECORDS_MAX) break;
    }
    works.push(work);
    records += more;
    bytes += work.bytes;
    if (alone) break;
  }
  lane.queue = lane.queue.slice(works.length);
  return works;
}

/** A session of one epoch is refused as a whole, so that its appends may share a frame. */
const sameSession = (a: ProducerSession | undefined, b: ProducerSession | undefined): boolean =>
  a?.id === b?.id && a?.epoch === b?.epoch;

function splitReceipt(works: readonly Work[], whole: AppendReceipt): void {
  if (works.length === 1) {
    works[0]?.resolve(whole);
    return;
  }
  let from = 0;
  let at = 0;
  for (const { count, resolve } of works) {
    const to = from + count;
    const duplicates: number[] = [];
    for (; at < whole.duplicates.length && (whole.duplicates[at] as number) < to; at++) {
      duplicates.push((whole.duplicates[at] as number) - from);
    }
    const positions = whole.positions.slice(from, to);
    resolve({ positions, duplicates, durability: whole.durability });
    from = to;
  }
}
