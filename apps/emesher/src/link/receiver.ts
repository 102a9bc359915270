import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, decodeRecord, encodeRecord, type RecordView } from '@eventmesh/event';
import type { DirectFrame, Frame, LinkRequest, ResumeQuery } from '@eventmesh/proto-gen/link';
import { AsyncQueue, type CallContext } from '@eventmesh/rpc';
import type { AppendRecord, EventStore } from '@eventmesh/store-api';
import type { Logger, Tracing } from '@eventmesh/telemetry';
import { nowUs } from '../clock.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Logs } from '../logs.ts';
import type { DirectDeps, DirectSwitch } from '../publish/direct.ts';
import { recordSpan } from '../publish/spans.ts';
import { ReceiveWindow } from './receive-window.ts';

export interface ReceiverDeps {
  readonly site: string;
  readonly member: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly direct: DirectSwitch;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly tracing: Tracing;
  readonly logger: Logger;
  readonly windowBytes: number;
  /** Answers that may wait for the neighbour to read them. */
  readonly answersMax: number;
  readonly hopsMax: number;
  /** Tells what is in hand; see `Metrics.measure`. */
  readonly measure: (window: ReceiveWindow, answers: () => number) => () => void;
  readonly neighbours: ReadonlySet<string>;
  readonly forwardDirect: DirectDeps['forward'];
}

type Out = AsyncQueue<{ message: { case: string; value: object } }>;

/** The incoming half of a link: stores what the neighbour sends, then accepts it. */
export async function* receiveLink(
  deps: ReceiverDeps,
  requests: AsyncIterable<LinkRequest>,
  ctx: CallContext,
) {
  const inputs = requests[Symbol.asyncIterator]();
  const first = await inputs.next();
  if (first.done === true || first.value.message.case !== 'hello') {
    throw invalid('hello', 'must be the first message of a link');
  }
  const hello = first.value.message.value;
  if (hello.toSite !== deps.site) {
    throw new MeshError('FailedPrecondition', `this is site "${deps.site}", not "${hello.toSite}"`);
  }
  if (!deps.neighbours.has(hello.site)) {
    throw new MeshError('FailedPrecondition', `site "${hello.site}" is not a neighbour here`, {
      field: 'links',
    });
  }
  const out: Out = new AsyncQueue();
  const { site, member } = deps;
  const windowBytes = BigInt(deps.windowBytes);
  out.push({ message: { case: 'welcome', value: { site, member, windowBytes } } });
  const window = new ReceiveWindow(deps.windowBytes, deps.answersMax, () => out.size);
  const incoming = new Incoming(deps, hello.site, out, window);
  const stop = () => out.end();
  for (const signal of [ctx.signal, ctx.draining]) {
    signal.addEventListener('abort', stop, { once: true });
  }
  const taking = (async () => {
    for (;;) {
      const next = await inputs.next();
      if (next.done === true || window.closed) return;
      await incoming.take(next.value);
      await window.room();
    }
  })();
  taking.then(stop, (error: unknown) => out.end(error));
  const unmeasure = deps.measure(window, () => out.size);
  try {
    for await (const message of out) {
      yield message as never;
      window.answered();
    }
  } finally {
    unmeasure();
    window.close();
    for (const signal of [ctx.signal, ctx.draining]) signal.removeEventListener('abort', stop);
  }
}

class Incoming {
  readonly #deps: ReceiverDeps;
  readonly #from: string;
  readonly #out: Out;
  readonly #window: ReceiveWindow;
  /** Where each lane's chain stands: the last position framed, and the last one in the store. */
  readonly #chains = new Map<string, { framed: number; stored: number }>();
  /** Accepts go out in the order of the frames, each after its own store receipt. */
  #accepts: Promise<void> = Promise.resolve();

  constructor(deps: ReceiverDeps, from: string, out: Out, window: ReceiveWindow) {
    this.#window = window;
    this.#deps = deps;
    this.#from = from;
    this.#out = out;
  }

  async take({ message }: LinkRequest): Promise<void> {
    switch (message.case) {
      case 'frame':
        return this.#frame(message.value);
      case 'direct':
        return this.#direct(message.value);
      case 'resume':
        return this.#resume(message.value);
      case 'ping':
        this.#out.push({ message: { case: 'pong', value: { nonce: message.value.nonce } } });
        return;
      default:
        throw invalid('message', 'is not known on a link');
    }
  }

  async #resume({ tenant, partition }: ResumeQuery): Promise<void> {
    const { store, logs } = this.#deps;
    const { partitions } = await logs.ensure(tenant);
    const local = partition % partitions.length;
    const last = await store.producerSequence(
      logs.name(tenant),
      local,
      producerId(this.#from, partition),
    );
    this.#out.push({
      message: { case: 'resume', value: { tenant, partition, last: BigInt(last) } },
    });
  }

  /** Frames are appended as they come, several at a time; the store keeps their order. */
  async #frame(frame: Frame): Promise<void> {
    const { store, logs } = this.#deps;
    const { tenant, partition } = frame;
    const count = logs.partitions(tenant) ?? (await logs.ensure(tenant)).partitions.length;
    const timeUs = nowUs();
    const arrived: { readonly record: RecordView; readonly append: AppendRecord }[] = [];
    let before = frame.previous;
    let bytes = 0;
    for (const { position, record, destinations } of frame.records) {
      bytes += record.length;
      const view = decodeRecord(record);
      if (view.tenant !== tenant) {
        throw invalid('tenant', `"${view.tenant}" in a frame of tenant "${tenant}"`);
      }
      if (position <= before) throw invalid('position', `${position} after ${before}`);
      before = position;
      const append = this.#rewrite(view, partition, Number(position), destinations, timeUs);
      if (append !== undefined) arrived.push({ record: view, append });
    }
    const previous = Number(frame.previous);
    const last = Number(frame.records.at(-1)?.position ?? previous);
    const lane = `${tenant}/${partition}`;
    const chain = this.#chains.get(lane);
    // Records that are dropped here leave no trace in the store; its chain goes on without them.
    const continues = chain !== undefined && chain.framed === previous;
    const stored = continues ? chain.stored : previous;
    this.#chains.set(lane, { framed: last, stored: arrived.length === 0 ? stored : last });
    const local = partition % count;
    const done =
      arrived.length === 0
        ? Promise.resolve()
        : store
            .append({
              log: logs.name(tenant),
              partition: local,
              records: arrived.map(({ append }) => append),
              producer: { id: producerId(this.#from, partition), previous: stored, last },
            })
            .then(({ positions, duplicates }) =>
              this.#stored(tenant, local, arrived, positions, new Set(duplicates), timeUs),
            );
    this.#window.take(bytes);
    this.#accepts = Promise.all([this.#accepts, done]).then(() => {
      this.#window.give(bytes);
      this.#out.push({
        message: { case: 'accepted', value: { tenant, partition, upTo: BigInt(last) } },
      });
    });
    // The sender starts again from the resume point.
    this.#accepts.catch((error: unknown) => this.#out.end(error));
  }

  /** The record as it is stored here, or undefined when it must not go further. */
  #rewrite(
    record: RecordView,
    partition: number,
    position: number,
    destinations: readonly string[],
    timeUs: number,
  ): AppendRecord | undefined {
    const { site, hopsMax, ledger, logger } = this.#deps;
    const atOrigin = record.originPosition === 0;
    const looped = record.originSite === site || record.hops.some((hop) => hop.site === site);
    if (looped || record.hops.length >= hopsMax) {
      const reason = looped ? 'loop' : 'hops';
      ledger.metrics.linkDropped.inc({ from: this.#from, reason });
      logger.warn({ from: this.#from, reason, topic: record.topic }, 'an event went too far');
      return undefined;
    }
    const head = {
      ...record,
      destinations: destinations.filter((destination) => destination !== site),
      transit: !destinations.includes(site),
      originPartition: atOrigin ? partition : record.originPartition,
      originPosition: atOrigin ? position : record.originPosition,
      hops: [
        ...(record.hops.length === 0
          ? [{ site: record.originSite, timeUs: record.ingressTimeUs }]
          : record.hops),
        { site, timeUs },
      ],
    };
    return {
      bytes: encodeRecord(head, record.event),
      // The same event may come twice over different routes; its first place in the mesh tells.
      dedupKey: `${head.originSite}\0${head.originPartition}\0${head.originPosition}`,
    };
  }

  #stored(
    tenant: string,
    partition: number,
    arrived: readonly { readonly record: RecordView }[],
    positions: readonly number[],
    duplicates: ReadonlySet<number>,
    timeUs: number,
  ): void {
    const { journal, ledger, tracing, site } = this.#deps;
    const fresh: number[] = [];
    for (const [index, { record }] of arrived.entries()) {
      const position = positions[index] ?? 0;
      if (duplicates.has(index)) continue;
      fresh.push(position);
      journal.stored(tenant, partition, position, new EventView(record.event), record.topic);
      const count = ledger.topic(tenant, record.topic);
      count.events++;
      count.lastTimeMs = Math.floor(timeUs / 1000);
      const sentUs = record.hops.at(-1)?.timeUs ?? record.ingressTimeUs;
      ledger.metrics.hopSeconds.observe(
        { from: this.#from },
        Math.max(0, timeUs - sentUs) / 1_000_000,
      );
      recordSpan(tracing, 'eventmesh hop', record.traceparent, sentUs, {
        'eventmesh.site': site,
        'eventmesh.from': this.#from,
        'messaging.destination.name': record.topic,
      });
    }
    ledger.metrics.linkReceived.inc({ from: this.#from }, fresh.length);
    journal.note(tenant, partition, fresh, 'received', this.#from);
  }

  #direct({ records }: DirectFrame): void {
    const { site, direct, hopsMax, forwardDirect } = this.#deps;
    for (const { record, destinations } of records) {
      const view = decodeRecord(record);
      if (view.hops.length >= hopsMax || view.hops.some((hop) => hop.site === site)) continue;
      const here = destinations.includes(site);
      if (here) direct.deliver(view);
      const further = destinations.filter((destination) => destination !== site);
      const hops = [...view.hops, { site, timeUs: nowUs() }];
      const onward = encodeRecord({ ...view, destinations: further, hops }, view.event);
      forwardDirect(onward, view, further, here);
    }
  }
}

const producerId = (site: string, partition: number): string => `link/${site}/${partition}`;
