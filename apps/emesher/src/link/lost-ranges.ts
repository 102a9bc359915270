import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { LostRange } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { LinkLostSchema, type LostRange as WireRange } from '@eventmesh/proto-gen/link';
import type { CursorId, EventStore } from '@eventmesh/store-api';
import type { Logs } from '../logs.ts';

/** Ranges kept of one partition and neighbour; of more the oldest is forgotten. */
export const LOST_RANGES_MAX = 16;
/** For so long what was read is taken to be all, in ms: what is found elsewhere is told besides. */
const KNOWN_MS = 10_000;
/** How long a range is told of where events are kept for ever, in ms. */
const TOLD_MS = 30 * 24 * 3_600_000;

interface LostRangesDeps {
  readonly store: EventStore;
  readonly logs: Pick<Logs, 'name'>;
  /** Sites whose links may find something. */
  readonly neighbours: readonly string[];
  /** Of events, in ms; 0: for ever. A range is told of as long. */
  readonly retentionMs: number;
  /** Ms since the epoch. */
  readonly now: () => number;
}

interface Known {
  readonly atMs: number;
  readonly ranges: Promise<LostRange[]>;
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
  readonly #known = new Map<string, Known>();

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
    const id = this.#idOf(tenant, range.partition, range.site);
    const { ranges, epoch } = await this.#load(id);
    if (ranges.some((known) => isSame(known, range))) return;
    const kept = [...ranges, range].slice(-LOST_RANGES_MAX);
    const state = toBinary(
      LinkLostSchema,
      create(LinkLostSchema, { ranges: kept.map(lostRangeToWire) }),
    );
    // Nobody who owned the link before writes over what he has not read.
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
    for (;;) {
      const known = this.#read(tenant);
      const ranges = await known.ranges;
      // What was found meanwhile was told to those who were there already, and may not be in it.
      if (this.#known.get(tenant) !== known) continue;
      const since = now() - (retentionMs === 0 ? TOLD_MS : retentionMs);
      return ranges.filter(({ foundMs }) => foundMs >= since);
    }
  }

  /** Thousands of subscriptions may start at once. */
  #read(tenant: string): Known {
    const { now } = this.#deps;
    const before = this.#known.get(tenant);
    if (before !== undefined && now() - before.atMs < KNOWN_MS) return before;
    const known = { atMs: now(), ranges: this.#readAll(tenant) };
    known.ranges.catch(() => this.#known.delete(tenant));
    this.#known.set(tenant, known);
    return known;
  }

  async #readAll(tenant: string): Promise<LostRange[]> {
    const { store, logs, neighbours } = this.#deps;
    const partitions = (await store.logInfo(logs.name(tenant)))?.partitions ?? [];
    const read = async ({ partition }: { readonly partition: number }) => {
      const ids = neighbours.map((site) => this.#idOf(tenant, partition, site));
      const all = await Promise.all(ids.map((id) => this.#load(id)));
      return all.flatMap(({ ranges }) => ranges).sort((a, b) => a.foundMs - b.foundMs);
    };
    return (await Promise.all(partitions.map(read))).flat();
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

  /** Each neighbour has one of its own: two links may find something of one partition at once. */
  #idOf(tenant: string, partition: number, site: string): CursorId {
    return { log: this.#deps.logs.name(tenant), partition, subscription: `lost/${site}` };
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
