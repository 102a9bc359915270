import { invalid, type MeshError } from '@eventmesh/errors';
import {
  EventView,
  NO_REVISIONS,
  decodeRecord,
  encodeRecord,
  type Hop,
  type RecordView,
} from '@eventmesh/event';
import type { DirectFrame, Frame, LinkRequest, ResumeQuery } from '@eventmesh/proto-gen/link';
import type { AppendReceipt, AppendRecord } from '@eventmesh/store-api';
import type { Observations } from '@eventmesh/telemetry';
import { nowUs } from '../clock.ts';
import { StoredBooks } from '../inspect/stored-books.ts';
import { recordSpan } from '../publish/spans.ts';
import { Chains, type Chain, type LinkSource } from './chains.ts';
import { linkFenced } from './link-owners.ts';
import { Marks, seenToWire } from './marks.ts';
import { PASSED_SITES_MAX } from './passed.ts';
import type { ReceiveWindow } from './receive-window.ts';
import type { Answers, IncomingDeps } from './receiver.ts';
import { tooFar } from './too-far.ts';

/** What comes over one link: stored as it comes, and accepted in order. */
export class Incoming {
  readonly #deps: IncomingDeps;
  readonly #from: string;
  readonly #out: Answers;
  readonly #window: ReceiveWindow;
  readonly #chains: Chains;
  /** Accepts go out in the order of the frames, each after its own store receipt. */
  #accepts: Promise<void> = Promise.resolve();
  readonly #marks: Marks;
  readonly #hopSeconds: Observations;

  constructor(deps: IncomingDeps, from: LinkSource, out: Answers, window: ReceiveWindow) {
    this.#window = window;
    this.#deps = deps;
    this.#from = from.site;
    this.#out = out;
    const onFenced = () => this.fence(linkFenced(from.site, from.epoch));
    this.#marks = new Marks({ ...deps, onFenced });
    this.#chains = new Chains(deps, from);
    this.#hopSeconds = deps.metrics.hopSeconds.of({ from: from.site });
  }

  /** Another emesher of the neighbour owns the link: nothing more is taken of this one. */
  fence(error: MeshError): void {
    if (this.#window.closed) return;
    this.#deps.metrics.linkFenced.inc({ from: this.#from });
    this.#deps.logger.warn({ from: this.#from }, error.message);
    this.#window.close();
    this.#out.end(error);
  }

  /** Keeps what was seen, also of what is on its way into the store, and what was passed by. */
  async close(): Promise<void> {
    // Why it failed is told to the neighbour.
    await this.#accepts.catch(() => undefined);
    await this.#marks.close();
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

  async #resume(query: ResumeQuery): Promise<void> {
    const { tenant, partition } = query;
    const { id, generation, framed, passed } = await this.#chains.resume(query);
    const seen = seenToWire(this.#deps.seen.of(id));
    const point = { tenant, partition, generation, passed, seen };
    this.#out.push({ message: { case: 'resume', value: { ...point, last: BigInt(framed) } } });
  }

  /** Frames are appended as they come, several at a time; the store keeps their order. */
  async #frame(frame: Frame): Promise<void> {
    const { site, store, logs, revisions } = this.#deps;
    const { tenant, partition } = frame;
    const chain = await this.#chains.of(tenant, partition);
    if (this.#window.closed) return;
    const sites = frame.passed?.sites.length ?? 0;
    if (sites > PASSED_SITES_MAX) {
      throw invalid('passed.sites', `are ${sites}`, { limit: `${PASSED_SITES_MAX} sites` });
    }
    const timeUs = nowUs();
    const hop = { site, timeUs, ...revisions() };
    const arrived: { readonly record: RecordView; readonly append: AppendRecord }[] = [];
    let before = frame.previous;
    let bytes = 0;
    let ingressTimeUs = 0;
    for (const { position, record, destinations } of frame.records) {
      bytes += record.length;
      const view = decodeRecord(record);
      if (view.tenant !== tenant) {
        throw invalid('tenant', `"${view.tenant}" in a frame of tenant "${tenant}"`);
      }
      if (position <= before) throw invalid('position', `${position} after ${before}`);
      before = position;
      ingressTimeUs = view.ingressTimeUs;
      const append = this.#rewrite(view, partition, Number(position), destinations, hop);
      if (append !== undefined) arrived.push({ record: view, append });
    }
    const previous = Number(frame.previous);
    const last = Number(before);
    // Records that are dropped here leave no trace in the store; its chain goes on without them.
    const stored = chain.framed === previous ? chain.stored : previous;
    const { id } = chain;
    const next = { ...chain, framed: last, stored: arrived.length === 0 ? stored : last };
    this.#chains.set(tenant, partition, next);
    const done =
      arrived.length === 0
        ? Promise.resolve()
        : store
            .append({
              log: logs.name(tenant),
              partition: id.partition,
              records: arrived.map(({ append }) => append),
              producer: { id: id.subscription, previous: stored, last },
            })
            .then((receipt) => this.#stored(tenant, id.partition, arrived, receipt, timeUs));
    this.#window.take(bytes);
    this.#accepts = Promise.all([this.#accepts, done]).then(() => {
      this.#window.give(bytes);
      if (arrived.length > 0) this.#deps.seen.stored(id, { position: last, ingressTimeUs });
      if (frame.records.length > 0) this.#accepted({ tenant, partition, upTo: BigInt(last) });
      this.#keep(frame, next);
    });
    // The sender starts again from the resume point.
    this.#accepts.catch((error: unknown) => this.#out.end(error));
  }

  #accepted(value: { tenant: string; partition: number; upTo: bigint; passedUpTo?: bigint }): void {
    this.#out.push({ message: { case: 'accepted', value } });
  }

  /**
   * Keeps, beside the record stored last, which records were seen and what was passed by behind a
   * frame, which is stored; says so of the latter once that is durable.
   */
  #keep({ tenant, partition, passed }: Frame, { id, framed, stored, epoch }: Chain): void {
    const seen = this.#deps.seen.of(id);
    this.#marks.note({ id, epoch, last: stored, passed, seen }, () => {
      if (passed === undefined) return;
      this.#accepted({ tenant, partition, upTo: BigInt(framed), passedUpTo: passed.upTo });
    });
  }

  /** The record as it is stored here, or undefined when it must not go further. */
  #rewrite(
    record: RecordView,
    partition: number,
    position: number,
    destinations: readonly string[],
    hop: Hop,
  ): AppendRecord | undefined {
    const { site } = this.#deps;
    if (this.#wentTooFar(record)) return undefined;
    const atOrigin = record.originPosition === 0;
    const head = {
      ...record,
      destinations: destinations.filter((destination) => destination !== site),
      transit: !destinations.includes(site),
      originPartition: atOrigin ? partition : record.originPartition,
      originPosition: atOrigin ? position : record.originPosition,
      hops: [
        ...(record.hops.length === 0
          ? [{ site: record.originSite, timeUs: record.ingressTimeUs, ...NO_REVISIONS }]
          : record.hops),
        hop,
      ],
    };
    return {
      bytes: encodeRecord(head, record.event),
      dedupKey: placeOf(head),
    };
  }

  #stored(
    tenant: string,
    partition: number,
    arrived: readonly { readonly record: RecordView }[],
    receipt: AppendReceipt,
    timeUs: number,
  ): void {
    const { journal, ledger, tracing, site } = this.#deps;
    const timeMs = Math.floor(timeUs / 1000);
    const books = new StoredBooks(journal, { tenant, partition, timeMs }, receipt);
    const fresh: number[] = [];
    for (const [index, { record }] of arrived.entries()) {
      if (books.isDuplicate(index)) continue;
      fresh.push(books.position(index));
      books.enter(index, ledger.topic(tenant, record.topic), new EventView(record.event));
      const sentUs = record.hops.at(-1)?.timeUs ?? record.ingressTimeUs;
      this.#hopSeconds.observe(Math.max(0, timeUs - sentUs) / 1_000_000);
      recordSpan(tracing, 'eventmesh hop', record.traceparent, sentUs, {
        'eventmesh.site': site,
        'eventmesh.from': this.#from,
        'messaging.destination.name': record.topic,
      });
    }
    this.#deps.metrics.linkReceived.inc({ from: this.#from }, books.fresh);
    journal.note(tenant, partition, fresh, 'received', this.#from);
  }

  /** Counted and told when it did: routes point in a circle somewhere. */
  #wentTooFar(record: RecordView): boolean {
    const { site, hopsMax, metrics, logger } = this.#deps;
    const reason = tooFar(record, site, hopsMax);
    if (reason === undefined) return false;
    metrics.linkDropped.inc({ from: this.#from, reason });
    logger.warn({ from: this.#from, reason, topic: record.topic }, 'an event went too far');
    return true;
  }

  #direct({ records }: DirectFrame): void {
    const { site, lanes, forwardDirect, revisions } = this.#deps;
    for (const { record, destinations } of records) {
      const view = decodeRecord(record);
      if (this.#wentTooFar(view)) continue;
      const here = destinations.includes(site);
      if (here) lanes.deliver(view);
      const further = destinations.filter((destination) => destination !== site);
      const hops = [...view.hops, { site, timeUs: nowUs(), ...revisions() }];
      const onward = encodeRecord({ ...view, destinations: further, hops }, view.event);
      forwardDirect(onward, view, further, here);
    }
  }
}

/**
 * The same event may come twice over different routes; its first place in the mesh tells. A log that
 * was restored uses its places again, for events that came in at other times.
 */
const placeOf = (
  head: Pick<RecordView, 'originSite' | 'originPartition' | 'originPosition' | 'ingressTimeUs'>,
): string =>
  `${head.originSite}\0${head.originPartition}\0${head.originPosition}\0${head.ingressTimeUs}`;
