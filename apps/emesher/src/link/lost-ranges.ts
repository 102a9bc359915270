import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { LostRange } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { LinkLostSchema, type LostRange as WireRange } from '@eventmesh/proto-gen/link';
import type { CursorId, EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';

/** Ranges kept of one partition; of more the oldest is forgotten. */
export const LOST_RANGES_MAX = 16;
/** For so long what was read is taken to be all, in ms: what is found elsewhere is told besides. */
const KNOWN_MS = 10_000;
/** How long a range is told of where events are kept for ever, in ms. */
const TOLD_MS = 30 * 24 * 3_600_000;

interface LostRangesDeps {
  readonly store: EventStore;
  readonly logs: Pick<Logs, 'name'>;
  /** Of events, in ms; 0: for ever. A range is told of as long. */
  readonly retentionMs: number;
  /** Ms since the epoch. */
  readonly now: () => number;
}

type Listener = (tenant: string, range: LostRange) => void;

/**
 * What this site has lost since its logs were brought back from an older copy, as far as neighbours had
 * taken it: kept in the store, beside the partition concerned, before the link goes on.
 */
export class LostRanges {
  readonly #deps: LostRangesDeps;
  readonly #listeners = new Set<Listener>();
  /** As last read; bounded by the tenants. */
  readonly #known = new Map<
    string,
    { readonly atMs: number; readonly ranges: Promise<LostRange[]> }
  >();

  constructor(deps: LostRangesDeps) {
    this.#deps = deps;
  }

  /** Told of what is found from now on, here or at another emesher of the site. */
  onFound(listener: Listener): void {
    this.#listeners.add(listener);
  }

  /** Resolves once it is durable. What is found again, as after a crash, is kept as it was. */
  async found(tenant: string, range: LostRange): Promise<void> {
    const { store } = this.#deps;
    const id = this.#idOf(tenant, range.partition);
    const { ranges, epoch } = await this.#load(id);
    if (ranges.some((known) => isSame(known, range))) return;
    const kept = [...ranges, range].slice(-LOST_RANGES_MAX);
    const state = toBinary(
      LinkLostSchema,
      create(LinkLostSchema, { ranges: kept.map(lostRangeToWire) }),
    );
    // Links to two neighbours may find something at once: nobody writes over what he has not read.
    const cursor = { floor: 1, settled: [], epoch: epoch + 1, state };
    if ((await store.commitCursors([{ id, cursor }])).length > 0) {
      throw new MeshError('Aborted', 'another emesher has written what was lost; it is read anew');
    }
    this.told(tenant, range);
  }

  /** Another emesher of the site has found and kept it. */
  told(tenant: string, range: LostRange): void {
    this.#known.delete(tenant);
    for (const listener of this.#listeners) listener(tenant, range);
  }

  /** What is still told of, by partition and in the order in which it was found. */
  async of(tenant: string): Promise<LostRange[]> {
    const { retentionMs, now } = this.#deps;
    const since = now() - (retentionMs === 0 ? TOLD_MS : retentionMs);
    return (await this.#read(tenant)).filter(({ foundMs }) => foundMs >= since);
  }

  /** Thousands of subscriptions may start at once. */
  #read(tenant: string): Promise<LostRange[]> {
    const { store, logs, now } = this.#deps;
    const known = this.#known.get(tenant);
    if (known !== undefined && now() - known.atMs < KNOWN_MS) return known.ranges;
    const read = async (): Promise<LostRange[]> => {
      const partitions = (await store.logInfo(logs.name(tenant)))?.partitions ?? [];
      const ids = partitions.map(({ partition }) => this.#idOf(tenant, partition));
      const all = await Promise.all(ids.map((id) => this.#load(id)));
      return all.flatMap(({ ranges }) => ranges);
    };
    const ranges = read();
    ranges.catch(() => this.#known.delete(tenant));
    this.#known.set(tenant, { atMs: now(), ranges });
    return ranges;
  }

  async #load(id: CursorId): Promise<{ ranges: LostRange[]; epoch: number }> {
    const cursor = await this.#deps.store.loadCursor(id);
    if (cursor === undefined) return { ranges: [], epoch: 0 };
    const { ranges } = fromBinary(LinkLostSchema, cursor.state);
    return {
      epoch: cursor.epoch,
      ranges: ranges.map((range) => lostRangeFromWire(id.partition, range)),
    };
  }

  #idOf(tenant: string, partition: number): CursorId {
    return { log: this.#deps.logs.name(tenant), partition, subscription: 'link/lost' };
  }
}

export const lostRangeToWire = ({ site, from, to, end, foundMs }: LostRange) => ({
  site,
  from: BigInt(from),
  to: BigInt(to),
  end: BigInt(end),
  foundMs: BigInt(foundMs),
});

export const lostRangeFromWire = (
  partition: number,
  { site, from, to, end, foundMs }: WireRange,
): LostRange => ({
  site,
  partition,
  from: Number(from),
  to: Number(to),
  end: Number(end),
  foundMs: Number(foundMs),
});

const isSame = (a: LostRange, b: LostRange): boolean =>
  a.site === b.site && a.partition === b.partition && a.from === b.from && a.to === b.to;

/** Whether a subscription that began at `start` was there before the log was brought back. */
export const concerns = ({ end }: LostRange, start: number): boolean => start <= end + 1;

/**
 * Whether a subscription that stands at `next` may not have been told yet: it has not come past the
 * positions, nor past where the log ended when they were found to be lost.
 */
export const isAhead = ({ to, end }: LostRange, next: number): boolean =>
  next <= Math.max(to, end + 1);

/** For consumers, beside the positions. */
export const lostReason = ({ site }: LostRange): string =>
  `the log was brought back from an older copy; site "${site}" had taken events at these positions, ` +
  'which are lost here but for those that the copy had';
