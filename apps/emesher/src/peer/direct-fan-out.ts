import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import { hasExpired, type RecordView } from '@eventmesh/event';
import type { DirectRequestSchema } from '@eventmesh/proto-gen/peer';
import type { Logger } from '@eventmesh/telemetry';
import { nextTurn } from '@eventmesh/time';
import type { Directory } from '../control/directory.ts';
import type { EmesherMetrics } from '../metrics.ts';
import { isInboxOf, isInboxTopic } from '../request/inbox-address.ts';
import type { Peer, Peers } from './peers.ts';

export interface FanOutDeps {
  readonly directory: Directory;
  readonly peers: Peers;
  readonly metrics: EmesherMetrics;
  readonly logger: Logger;
  /** Events that may wait for one emesher; beyond it the oldest is dropped. */
  readonly queueMax: number;
  /** Ms since the epoch, for the life of events. */
  readonly now: () => number;
  /** Hands a record to the links of this emesher; answers the sites that none of them leads to. */
  readonly sendOverLinks: (record: Buffer, destinations: readonly string[]) => readonly string[];
}

interface Waiting {
  readonly record: Buffer;
  readonly expiryMs: number;
  readonly destinations: readonly string[];
  readonly here: boolean;
}

/** Records of one frame, and bytes of them. */
const FRAME_RECORDS = 1024;
const FRAME_BYTES = 256 * 1024;
/** After a failed stream to an emesher nothing is sent to it for this long, in ms. */
const REST_MS = 250;

/**
 * Direct events on their way out of this emesher: over its own links, and to the other emeshers of
 * the site when a consumer may be there, or the link that it lacks. One hop: what comes from
 * another emesher goes to consumers and links only.
 */
export class DirectFanOut {
  readonly #deps: FanOutDeps;
  readonly #lines = new Map<string, Line>();

  constructor(deps: FanOutDeps) {
    this.#deps = deps;
  }

  /** Answers whether a subscription of this site wants it, if it is for this site. */
  forward(
    record: Buffer,
    { tenant, topic, expiryMs }: Pick<RecordView, 'tenant' | 'topic' | 'expiryMs'>,
    destinations: readonly string[],
    here: boolean,
  ): boolean {
    const { directory, peers, metrics, now } = this.#deps;
    const all = peers.all;
    const waits = isInboxTopic(topic) ? all.filter(({ id }) => isInboxOf(topic, id)) : undefined;
    const wanted =
      here && (waits === undefined ? directory.wanted(tenant, topic, 'direct') : waits.length > 0);
    if (hasExpired(expiryMs, now())) {
      metrics.direct.inc({ outcome: 'expired' });
      return wanted;
    }
    const left = this.#overLinks(record, destinations);
    if (!wanted && left.length === 0) return false;
    if (left.length > 0 && all.length === 0) {
      metrics.direct.inc({ outcome: 'link-dropped' });
    }
    const to = left.length > 0 ? all : (waits ?? all);
    for (const peer of to)
      this.#line(peer).push({ record, expiryMs, destinations: left, here: wanted });
    return wanted;
  }

  #overLinks(record: Buffer, destinations: readonly string[]): readonly string[] {
    return destinations.length === 0
      ? destinations
      : this.#deps.sendOverLinks(record, destinations);
  }

  /** Events that wait for the emesher that is behind the most. */
  get waiting(): number {
    return Math.max(0, ...[...this.#lines.values()].map(({ waiting }) => waiting));
  }

  #line(peer: Peer): Line {
    let line = this.#lines.get(peer.id);
    if (line === undefined || line.peer !== peer) {
      line?.stop();
      line = new Line(peer, this.#deps);
      this.#lines.set(peer.id, line);
      peer.left.addEventListener('abort', () => this.#gone(peer), { once: true });
    }
    return line;
  }

  #gone(peer: Peer): void {
    const line = this.#lines.get(peer.id);
    if (line?.peer !== peer) return;
    line.stop();
    this.#lines.delete(peer.id);
  }
}

/** The stream to one emesher, opened with the first record. */
class Line {
  readonly peer: Peer;
  readonly #deps: FanOutDeps;
  #waiting: Waiting[] = [];
  #wake: (() => void) | undefined;
  #open = false;
  #restUntil = 0;
  #stopped = false;

  constructor(peer: Peer, deps: FanOutDeps) {
    this.peer = peer;
    this.#deps = deps;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  push(waiting: Waiting): void {
    if (this.#stopped || performance.now() < this.#restUntil) {
      this.#dropped(1);
      return;
    }
    this.#waiting.push(waiting);
    if (this.#waiting.length > this.#deps.queueMax) {
      this.#waiting.shift();
      this.#dropped(1);
    }
    if (!this.#open) void this.#run();
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#dropped(this.#waiting.length);
    this.#waiting = [];
    this.#wake?.();
  }

  async #run(): Promise<void> {
    this.#open = true;
    try {
      await this.peer.client.direct(this.#frames(), { signal: this.peer.left });
    } catch (error) {
      const { code } = MeshError.from(error);
      this.#deps.logger.debug({ to: this.peer.id, code }, 'direct events do not reach an emesher');
    }
    this.#open = false;
    this.#restUntil = performance.now() + REST_MS;
    this.#dropped(this.#waiting.length);
    this.#waiting = [];
  }

  /** What has gathered in a turn, or while the last frame was on its way. */
  async *#frames(): AsyncGenerator<MessageInitShape<typeof DirectRequestSchema>> {
    while (!this.#stopped) {
      if (this.#waiting.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        await nextTurn();
        continue;
      }
      const records = this.#alive(this.#takeFrame());
      if (records.length === 0) continue;
      this.#deps.metrics.direct.inc({ outcome: 'to-emesher' }, records.length);
      yield {
        records: records.map(({ record, destinations, here }) => ({
          record,
          destinations: [...destinations],
          here,
        })),
      };
    }
  }

  #takeFrame(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { record } of this.#waiting) {
      if (count > 0 && (count >= FRAME_RECORDS || bytes + record.length > FRAME_BYTES)) break;
      bytes += record.length;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Without what has expired while it waited: counted, and not sent. */
  #alive(records: readonly Waiting[]): readonly Waiting[] {
    const now = this.#deps.now();
    const alive = records.filter(({ expiryMs }) => !hasExpired(expiryMs, now));
    const over = records.length - alive.length;
    if (over > 0) this.#deps.metrics.direct.inc({ outcome: 'expired' }, over);
    return alive;
  }

  #dropped(events: number): void {
    if (events === 0) return;
    this.#deps.metrics.direct.inc({ outcome: 'emesher-dropped' }, events);
  }
}
