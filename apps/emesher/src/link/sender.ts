import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import { encodeRecord } from '@eventmesh/event';
import type {
  Accepted,
  LinkRequestSchema,
  LinkResponse,
  ResumePoint,
} from '@eventmesh/proto-gen/link';
import { AsyncQueue } from '@eventmesh/rpc';
import type { Logger } from '@eventmesh/telemetry';
import type { Followers } from '../follow/followers.ts';
import type { TapHandle } from '../follow/tap.ts';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Logs } from '../logs.ts';
import type { LaneBooks, LinkBooks } from './link-books.ts';
import type { LinkClient } from './link-client.ts';
import type { RouteHistory } from './route-history.ts';
import { RouteTap, type Outgoing } from './route-tap.ts';

type Request = MessageInitShape<typeof LinkRequestSchema>;

export interface SenderDeps {
  readonly site: string;
  readonly member: string;
  readonly logs: Logs;
  readonly followers: Followers;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly logger: Logger;
  /** Ms since the epoch, for the life of events. */
  readonly now: () => number;
  /** Messages that may wait to be sent, beyond which direct events are dropped. */
  readonly directQueueMax: number;
  /** Shared by the links of a site. */
  readonly routes: RouteHistory;
}

/** One partition of one tenant's log on its way over the link. */
interface Lane {
  readonly tenant: string;
  readonly partition: number;
  readonly tap: RouteTap;
  readonly books: LaneBooks;
  handle: TapHandle | undefined;
  /** Position of the last record sent; the receiver's chain continues there. */
  previous: number;
  /** Positions and bytes of frames that are not accepted yet, oldest first. */
  readonly open: { readonly upTo: number; readonly bytes: number; readonly positions: number[] }[];
}

/** Bytes of one frame. */
const FRAME_BYTES = 256 * 1024;

/**
 * One direction of a link while it is up. It reads the local log from where the receiver's store
 * ends, so the receiver is the only truth about what has arrived; a new link, a new process and a
 * healed cut all start the same way.
 */
export class LinkSender {
  readonly #link: LinkClient;
  readonly #deps: SenderDeps;
  readonly #books: LinkBooks;
  readonly #requests = new AsyncQueue<Request>();
  readonly #lanes = new Map<string, Lane>();
  #windowBytes = 0;
  #openBytes = 0;
  #scheduled = false;
  #closed = false;

  constructor(link: LinkClient, deps: SenderDeps, books: LinkBooks) {
    this.#link = link;
    this.#deps = deps;
    this.#books = books;
  }

  /** The neighbour has answered and the link is open. */
  get up(): boolean {
    return this.#windowBytes > 0 && !this.#closed;
  }

  /** Messages that wait to be sent. */
  get waiting(): number {
    return this.#requests.size;
  }

  /** Bytes that the fullest partition has gathered for the link. */
  get gatheredBytes(): number {
    return Math.max(0, ...[...this.#lanes.values()].map(({ tap }) => tap.bytes));
  }

  /** Runs until the link fails or is closed. @throws MeshError why it failed. */
  async run(signal: AbortSignal): Promise<void> {
    const { site, member, ledger, logs } = this.#deps;
    const to = this.#link.neighbour.site;
    this.#requests.push({ message: { case: 'hello', value: { site, member, toSite: to } } });
    let forget: () => void = () => undefined;
    try {
      for await (const { message } of this.#link.client.link(this.#requests, { signal })) {
        if (message.case === 'welcome') {
          if (message.value.site !== to) throw wrongSite(message.value.site, to);
          this.#windowBytes = Number(message.value.windowBytes);
          ledger.metrics.linkUp.set({ to }, 1);
          this.#deps.logger.info({ to }, 'link up');
          forget = logs.onTenant((tenant) => this.#askResume(tenant));
        } else this.#received(message);
      }
    } finally {
      forget();
      this.#close();
    }
  }

  /** Direct events: at most once, never waited for; dropped while the window is full. */
  sendDirect(record: Buffer, destinations: readonly string[]): boolean {
    if (this.#windowBytes === 0 || this.#openBytes >= this.#windowBytes) return false;
    if (this.#requests.size >= this.#deps.directQueueMax) return false;
    const records = [{ position: 0n, record, destinations: [...destinations] }];
    this.#requests.push({ message: { case: 'direct', value: { records } } });
    return true;
  }

  #askResume(tenant: string): void {
    const partitions = this.#deps.logs.partitions(tenant) ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      this.#requests.push({ message: { case: 'resume', value: { tenant, partition } } });
    }
  }

  #received(message: LinkResponse['message']): void {
    if (message.case === 'resume') this.#startLane(message.value);
    else if (message.case === 'accepted') this.#accepted(message.value);
  }

  #startLane({ tenant, partition, last }: ResumePoint): void {
    const key = `${tenant}/${partition}`;
    if (this.#lanes.has(key) || this.#closed) return;
    const { followers, routes } = this.#deps;
    const books = this.#books.lane(tenant, partition);
    // Its word of what it has may have been lost with the last connection.
    books.delivered(Number(last));
    const tap = new RouteTap(
      this.#link.neighbour.site,
      (position, site) => routes.hop(key, position, site),
      this.#windowBytes,
      books,
      () => this.#schedule(),
    );
    const lane: Lane = {
      tenant,
      partition,
      tap,
      books,
      handle: undefined,
      previous: Number(last),
      open: [],
    };
    this.#lanes.set(key, lane);
    lane.handle = followers.of(tenant, partition).attach(tap, Number(last) + 1);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#closed) this.#send();
    });
  }

  /** Sends what has gathered while there is room in the window; lanes take turns. */
  #send(): void {
    for (let sent = true; sent && this.#openBytes < this.#windowBytes;) {
      sent = false;
      for (const lane of this.#lanes.values()) {
        if (this.#openBytes >= this.#windowBytes) break;
        if (lane.tap.hasRecords && this.#sendFrame(lane)) sent = true;
      }
    }
    const to = this.#link.neighbour.site;
    this.#deps.ledger.metrics.linkPending.set({ to }, this.#openBytes);
    this.#books.tell();
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
    this.#requests.push({
      message: {
        case: 'frame',
        value: {
          tenant: lane.tenant,
          partition: lane.partition,
          previous: BigInt(lane.previous),
          upTo: BigInt(gathered.upTo),
          records: records.map(({ position, record, destinations }) => ({
            position: BigInt(position),
            record: encodeRecord(record, record.event),
            destinations: [...destinations],
          })),
        },
      },
    });
    lane.previous = positions.at(-1) ?? lane.previous;
    lane.open.push({ upTo: lane.previous, bytes: gathered.bytes, positions });
    this.#openBytes += gathered.bytes;
    const to = this.#link.neighbour.site;
    this.#deps.ledger.metrics.linkSent.inc({ to }, positions.length);
    this.#deps.journal.note(lane.tenant, lane.partition, positions, 'forwarded', to);
    lane.handle?.resume();
    return true;
  }

  /** Without what has expired while it waited: counted, and not sent. */
  #alive(lane: Lane, records: readonly Outgoing[]): readonly Outgoing[] {
    const now = this.#deps.now();
    const isOver = ({ record }: Outgoing) => record.expiryMs !== 0 && record.expiryMs <= now;
    const over = records.filter(isOver);
    if (over.length === 0) return records;
    for (const { position } of over) lane.books.expired(position);
    const positions = over.map(({ position }) => position);
    const to = this.#link.neighbour.site;
    this.#deps.journal.note(lane.tenant, lane.partition, positions, 'link-expired', to);
    return records.filter((outgoing) => !isOver(outgoing));
  }

  #accepted({ tenant, partition, upTo }: Accepted): void {
    const lane = this.#lanes.get(`${tenant}/${partition}`);
    if (lane === undefined) return;
    const to = this.#link.neighbour.site;
    lane.books.delivered(Number(upTo));
    for (let frame = lane.open[0]; frame !== undefined; frame = lane.open[0]) {
      if (frame.upTo > Number(upTo)) break;
      lane.open.shift();
      this.#openBytes -= frame.bytes;
      this.#deps.ledger.metrics.linkAccepted.inc({ to }, frame.positions.length);
      this.#deps.journal.note(tenant, partition, frame.positions, 'link-accepted', to);
    }
    this.#books.tell();
    this.#schedule();
  }

  #close(): void {
    this.#closed = true;
    this.#requests.end();
    for (const lane of this.#lanes.values()) lane.handle?.close();
    const to = this.#link.neighbour.site;
    this.#deps.ledger.metrics.linkUp.set({ to }, 0);
    this.#deps.ledger.metrics.linkPending.set({ to }, 0);
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
