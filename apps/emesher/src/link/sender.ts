import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import { hasExpired } from '@eventmesh/event';
import type {
  Accepted,
  LinkRequestSchema,
  LinkResponse,
  ResumePoint,
} from '@eventmesh/proto-gen/link';
import { AsyncQueue } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Followers } from '../follow/followers.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Logs } from '../logs.ts';
import type { EmesherMetrics } from '../metrics.ts';
import { Lane } from './lane.ts';
import type { LinkBooks } from './link-books.ts';
import type { LinkClient } from './link-client.ts';
import type { LostRanges } from './lost-ranges.ts';
import { Passed, readOnFrom, type PassedBy } from './passed.ts';
import { keptBy } from './read-on.ts';
import { RestoredLog } from './restored-log.ts';
import { framesOf, type DirectRecord } from './direct-frames.ts';
import type { RouteHistory } from './route-history.ts';
import { RouteTap, type Outgoing } from './route-tap.ts';

type Request = MessageInitShape<typeof LinkRequestSchema>;

/** What a sender needs of the connection to a neighbour. */
export interface OutgoingLink {
  readonly neighbour: Pick<LinkClient['neighbour'], 'site'>;
  readonly client: Pick<LinkClient['client'], 'link'>;
}

export interface SenderDeps {
  readonly site: string;
  readonly member: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly followers: Followers;
  readonly metrics: EmesherMetrics;
  readonly journal: Journal;
  readonly logger: Logger;
  /** Ms since the epoch, for the life of events. */
  readonly now: () => number;
  /** Messages that may wait to be sent, beyond which direct events are dropped. */
  readonly directQueueMax: number;
  /** Shortest time between two frames without records of a partition, in ms. */
  readonly progressInterval: number;
  readonly lost: Pick<LostRanges, 'found'>;
  /** Shared by the links of a site. */
  readonly routes: RouteHistory;
}

/** Bytes of one frame. */
const FRAME_BYTES = 256 * 1024;

/**
 * One direction of a link while it is up. It reads the local log from where the receiver's store
 * ends, so the receiver is the only truth about what has arrived; a new link, a new process and a
 * healed cut all start the same way. The receiver also keeps what was passed by behind that, so that
 * nobody reads it again.
 */
export class LinkSender {
  readonly #link: OutgoingLink;
  readonly #epoch: number;
  readonly #deps: SenderDeps;
  readonly #books: LinkBooks;
  readonly #requests = new AsyncQueue<Request>();
  readonly #lanes = new Map<string, Lane>();
  /** Direct events of this turn. */
  #direct: DirectRecord[] = [];
  #windowBytes = 0;
  #upSince: number | undefined;
  #openBytes = 0;
  #scheduled = false;
  #passedTimer: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();
  readonly #restored: RestoredLog;

  /** @param epoch Of the ownership of the link. */
  constructor(link: OutgoingLink, deps: SenderDeps, books: LinkBooks, epoch: number) {
    this.#link = link;
    this.#epoch = epoch;
    this.#deps = deps;
    this.#books = books;
    this.#restored = new RestoredLog(link.neighbour.site, deps);
  }

  /** The neighbour has answered and the link is open. */
  get up(): boolean {
    return this.#windowBytes > 0 && !this.#stop.signal.aborted;
  }

  /** How long the neighbour has answered, in ms; 0 when it has not. */
  get upMs(): number {
    return this.#upSince === undefined ? 0 : performance.now() - this.#upSince;
  }

  /** Messages, and direct events of this turn, that wait to be sent. */
  get waiting(): number {
    return this.#requests.size + this.#direct.length;
  }

  /** Bytes that the fullest partition has gathered for the link. */
  get gatheredBytes(): number {
    return Math.max(0, ...[...this.#lanes.values()].map(({ tap }) => tap.bytes));
  }

  /** Runs until the link fails or is closed. @throws MeshError why it failed. */
  async run(signal: AbortSignal): Promise<void> {
    const { site, member, metrics, logs } = this.#deps;
    const to = this.#link.neighbour.site;
    const hello = { site, member, toSite: to, epoch: BigInt(this.#epoch) };
    this.#requests.push({ message: { case: 'hello', value: hello } });
    let forget: () => void = () => undefined;
    try {
      for await (const { message } of this.#link.client.link(this.#requests, { signal })) {
        if (message.case === 'welcome') {
          if (message.value.site !== to) throw wrongSite(message.value.site, to);
          this.#windowBytes = Number(message.value.windowBytes);
          this.#upSince = performance.now();
          metrics.linkUp.set({ to }, 1);
          this.#deps.logger.info({ to }, 'link up');
          forget = logs.onTenant((tenant) => this.#askResume(tenant));
        } else this.#received(message);
      }
    } finally {
      forget();
      this.#close();
    }
  }

  /** Sends nothing more: somebody else may own the link by now. */
  leave(error: MeshError): void {
    this.#stop.abort();
    this.#requests.end(error);
  }

  /** Direct events: at most once, never waited for; dropped while the window is full. */
  sendDirect(record: Buffer, destinations: readonly string[]): void {
    const hasRoom = this.#windowBytes > 0 && this.#openBytes < this.#windowBytes;
    if (!hasRoom || this.waiting >= this.#deps.directQueueMax) {
      this.#countDirect('link-dropped', 1);
      return;
    }
    this.#direct.push({ position: 0n, record, destinations: [...destinations] });
    this.#schedule();
  }

  #askResume(tenant: string): void {
    const partitions = this.#deps.logs.partitions(tenant) ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      this.#requests.push({ message: { case: 'resume', value: { tenant, partition } } });
    }
  }

  #received(message: LinkResponse['message']): void {
    if (message.case === 'resume') void this.#resume(message.value);
    else if (message.case === 'accepted') this.#accepted(message.value);
  }

  /** Sees first whether the log is still the one that the receiver knows. */
  async #resume(point: ResumePoint): Promise<void> {
    const { signal } = this.#stop;
    try {
      const begins = await this.#restored.begins(point, signal);
      if (signal.aborted) return;
      if (begins !== undefined) this.#requests.push({ message: { case: 'resume', value: begins } });
      else if (this.#restored.mayStart(point)) this.#startLane(point, await this.#keptBy(point));
    } catch (error) {
      // The link comes up again, and asks again.
      this.#requests.end(error);
    }
  }

  /** Without what the receiver keeps, reading begins behind the last record that it accepted. */
  async #keptBy(point: ResumePoint): Promise<PassedBy | undefined> {
    const { store, logs, logger } = this.#deps;
    try {
      return await keptBy(store, logs.name(point.tenant), point, this.#stop.signal);
    } catch (error) {
      const { tenant, partition } = point;
      logger.warn({ err: error, tenant, partition }, 'what a link passed by is read again');
      return undefined;
    }
  }

  #startLane({ tenant, partition, last }: ResumePoint, kept: PassedBy | undefined): void {
    const key = `${tenant}/${partition}`;
    if (this.#lanes.has(key) || this.#stop.signal.aborted) return;
    const { followers, routes } = this.#deps;
    const to = this.#link.neighbour.site;
    const books = this.#books.lane(tenant, partition);
    this.#noteAccepted({ tenant, partition }, books.started(Number(last), kept?.upTo ?? 0));
    const upTo = readOnFrom(Number(last), kept, (site) => routes.mayBelong(site, to));
    routes.resumed(key, upTo, kept?.sites.map(({ site }) => site) ?? []);
    const tap = new RouteTap(
      to,
      (position, site) => routes.hop(key, position, site),
      this.#windowBytes,
      books,
      () => this.#schedule(),
      new Passed(kept),
    );
    const lane = new Lane({ tenant, partition }, tap, books, Number(last), kept?.upTo ?? 0);
    this.#lanes.set(key, lane);
    lane.handle = followers.of(tenant, partition).attach(tap, upTo + 1);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#stop.signal.aborted) this.#send();
    });
  }

  /** Sends what has gathered while there is room in the window; lanes take turns. */
  #send(): void {
    this.#sendDirect();
    for (let sent = true; sent && this.#openBytes < this.#windowBytes;) {
      sent = false;
      for (const lane of this.#lanes.values()) {
        if (this.#openBytes >= this.#windowBytes) break;
        if (lane.tap.hasRecords && this.#sendFrame(lane)) sent = true;
      }
    }
    const to = this.#link.neighbour.site;
    this.#deps.metrics.linkPending.set({ to }, this.#openBytes);
    this.#books.tell();
    this.#tellPassed();
  }

  #sendDirect(): void {
    const waiting = this.#direct;
    this.#direct = [];
    for (const records of framesOf(waiting, FRAME_BYTES)) {
      this.#requests.push({ message: { case: 'direct', value: { records } } });
      this.#countDirect('forwarded', records.length);
    }
  }

  #countDirect(outcome: 'forwarded' | 'link-dropped', events: number): void {
    this.#deps.metrics.direct.inc({ outcome }, events);
  }

  #sendFrame(lane: Lane): boolean {
    const gathered = lane.tap.take(FRAME_BYTES);
    if (gathered === undefined || gathered.records.length === 0) return false;
    const records = this.#alive(lane, gathered.records);
    // Nothing of it is left to send; the chain goes on where the last frame ended.
    if (records.length === 0) {
      lane.handle?.resume();
      return true;
    }
    const positions = records.map(({ position }) => position);
    this.#requests.push({ message: { case: 'frame', value: lane.frame(gathered, records) } });
    this.#openBytes += gathered.bytes;
    const to = this.#link.neighbour.site;
    this.#deps.metrics.linkSent.inc({ to }, positions.length);
    this.#deps.journal.note(lane.tenant, lane.partition, positions, 'forwarded', to);
    lane.handle?.resume();
    return true;
  }

  /** Without what has expired while it waited: counted, and not sent. */
  #alive(lane: Lane, records: readonly Outgoing[]): readonly Outgoing[] {
    const now = this.#deps.now();
    const isOver = ({ record }: Outgoing) => hasExpired(record.expiryMs, now);
    const over = records.filter(isOver);
    if (over.length === 0) return records;
    for (const { position } of over) lane.books.expired(position);
    const positions = over.map(({ position }) => position);
    const to = this.#link.neighbour.site;
    this.#deps.journal.note(lane.tenant, lane.partition, positions, 'link-expired', to);
    return records.filter((outgoing) => !isOver(outgoing));
  }

  /** Tells soon what was passed by, where no frame with records does. */
  #tellPassed(): void {
    if (this.#passedTimer !== undefined || ![...this.#lanes.values()].some((l) => l.hasPassed))
      return;
    this.#passedTimer = setTimeout(() => {
      this.#passedTimer = undefined;
      for (const lane of this.#lanes.values()) {
        const value = lane.passedFrame();
        if (value !== undefined) this.#requests.push({ message: { case: 'frame', value } });
      }
    }, this.#deps.progressInterval);
  }

  #accepted({ tenant, partition, upTo, passedUpTo }: Accepted): void {
    const lane = this.#lanes.get(`${tenant}/${partition}`);
    if (lane === undefined) return;
    for (const frame of lane.accepted(Number(upTo), Number(passedUpTo))) {
      this.#openBytes -= frame.bytes;
      this.#noteAccepted(lane, frame.positions);
    }
    this.#books.tell();
    this.#schedule();
  }

  #noteAccepted(
    { tenant, partition }: Pick<Lane, 'tenant' | 'partition'>,
    positions: readonly number[],
  ): void {
    if (positions.length === 0) return;
    const to = this.#link.neighbour.site;
    const { metrics, journal } = this.#deps;
    metrics.linkAccepted.inc({ to }, positions.length);
    journal.note(tenant, partition, positions, 'link-accepted', to);
  }

  #close(): void {
    this.#stop.abort();
    clearTimeout(this.#passedTimer);
    this.#requests.end();
    this.#countDirect('link-dropped', this.#direct.length);
    this.#direct = [];
    for (const lane of this.#lanes.values()) lane.handle?.close();
    const to = this.#link.neighbour.site;
    this.#deps.metrics.linkUp.set({ to }, 0);
    this.#deps.metrics.linkPending.set({ to }, 0);
    this.#books.tell();
  }
}

function wrongSite(got: string, wanted: string): MeshError {
  return new MeshError(
    'FailedPrecondition',
    `the address of site "${wanted}" belongs to site "${got}"; correct links[].address`,
    { field: 'links' },
  );
}
