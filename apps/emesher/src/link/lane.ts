import type { MessageInitShape } from '@bufbuild/protobuf';
import { encodeRecord } from '@eventmesh/event';
import type { FrameSchema } from '@eventmesh/proto-gen/link';
import type { TapHandle } from '../follow/tap.ts';
import type { LaneBooks } from './link-books.ts';
import type { PassedBy } from './passed.ts';
import type { Gathered, Outgoing, RouteTap } from './route-tap.ts';

/** A frame as it is put on the wire. */
type Frame = Exclude<MessageInitShape<typeof FrameSchema>, { $typeName: string }>;

/** A frame that is not accepted yet. */
interface OpenFrame {
  readonly upTo: number;
  readonly bytes: number;
  readonly positions: readonly number[];
}

/** One partition of one tenant's log on its way over a link. */
export class Lane {
  readonly tenant: string;
  readonly partition: number;
  readonly tap: RouteTap;
  readonly books: LaneBooks;
  handle: TapHandle | undefined;
  /** Position of the last record sent; the receiver's chain continues there. */
  #previous: number;
  /** How far the receiver was told that was passed by behind it. */
  #told: number;
  /** A frame that says only that waits for its answer. */
  #asks = false;
  /** Oldest first. */
  readonly #open: OpenFrame[] = [];

  /** @param told How far the receiver knows that was passed by behind `last`; 0: nothing. */
  constructor(
    of: { readonly tenant: string; readonly partition: number },
    tap: RouteTap,
    books: LaneBooks,
    last: number,
    told: number,
  ) {
    this.tenant = of.tenant;
    this.partition = of.partition;
    this.tap = tap;
    this.books = books;
    this.#previous = last;
    this.#told = told;
  }

  /** Puts records into a frame, of what was gathered those that are still to be sent. */
  frame({ upTo, bytes }: Gathered, records: readonly Outgoing[]): Frame {
    const previous = this.#previous;
    const positions = records.map(({ position }) => position);
    this.#previous = positions.at(-1) ?? previous;
    this.#open.push({ upTo: this.#previous, bytes, positions });
    this.tap.passed.sent(this.#previous);
    this.#told = 0;
    this.#asks = false;
    return {
      ...this.#frameOf(previous, upTo, this.#untold()),
      records: records.map(({ position, record, destinations }) => ({
        position: BigInt(position),
        record: encodeRecord(record, record.event),
        destinations: [...destinations],
      })),
    };
  }

  /** Whether there is something to tell by a frame without records. */
  get hasPassed(): boolean {
    if (this.#asks || this.tap.hasRecords) return false;
    return this.tap.passed.upTo > Math.max(this.#previous, this.#told);
  }

  /** A frame without records; the next one waits for its answer, which an older receiver never gives. */
  passedFrame(): Frame | undefined {
    if (!this.hasPassed) return undefined;
    this.#asks = true;
    return this.#frameOf(this.#previous, this.tap.passed.upTo, this.#untold());
  }

  /** The receiver has this much, and keeps what was passed by up to there. Answers frames done. */
  accepted(upTo: number, passedUpTo: number): OpenFrame[] {
    this.books.delivered(upTo);
    if (passedUpTo > 0) {
      this.books.kept(passedUpTo);
      this.#asks = false;
    }
    const done: OpenFrame[] = [];
    for (let frame = this.#open[0]; frame !== undefined; frame = this.#open[0]) {
      if (frame.upTo > upTo) break;
      done.push(frame);
      this.#open.shift();
    }
    return done;
  }

  /** What is new of what was passed by; what has gathered and waits for room hides it. */
  #untold(): PassedBy | undefined {
    const passed = this.tap.hasRecords ? undefined : this.tap.passed.behind(this.#previous);
    this.#told = passed?.upTo ?? this.#told;
    return passed;
  }

  #frameOf(previous: number, upTo: number, passed: PassedBy | undefined): Frame {
    return {
      tenant: this.tenant,
      partition: this.partition,
      previous: BigInt(previous),
      upTo: BigInt(upTo),
      ...(passed === undefined ? {} : { passed: passedToWire(passed) }),
    };
  }
}

function passedToWire({ upTo, ingressTimeUs, sites }: PassedBy) {
  return {
    upTo: BigInt(upTo),
    ingressTimeUs: BigInt(ingressTimeUs),
    sites: sites.map(({ site, first, last }) => ({
      site,
      first: BigInt(first),
      last: BigInt(last),
    })),
  };
}
