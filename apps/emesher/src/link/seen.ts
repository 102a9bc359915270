import type { CursorId } from '@eventmesh/store-api';

/** A record of a log, told from another one at its position by when it entered the mesh. */
export interface Seen {
  readonly position: number;
  readonly ingressTimeUs: number;
}

/** Records of a partition that are remembered. */
export const SEEN_MAX = 48;

/**
 * Remembers one more record, behind all others. Of too many the one goes whose neighbours lie close
 * together for how far back they are: old copies of a log are told apart less finely than new ones,
 * and the way back to the next one remembered grows only with the age of the copy.
 */
export function withSeen(seen: readonly Seen[], newest: Seen): readonly Seen[] {
  const all = [...seen, newest];
  if (all.length <= SEEN_MAX) return all;
  let least = Infinity;
  let gone = 1;
  for (let index = 1; index < all.length - 1; index++) {
    const before = all[index - 1]?.position ?? 0;
    const behind = all[index + 1]?.position ?? 0;
    const share = (behind - before) / (newest.position - before);
    if (share >= least) continue;
    least = share;
    gone = index;
  }
  all.splice(gone, 1);
  return all;
}

/**
 * The records seen of each lane, of all connections of this process: a new one may begin while what
 * an old one has stored is still to be kept. Bounded by the lanes that neighbours have.
 */
export class SeenBook {
  readonly #lanes = new Map<string, readonly Seen[]>();

  of(id: CursorId): readonly Seen[] {
    return this.#lanes.get(keyOf(id)) ?? [];
  }

  /** What the store has kept of a lane; it counts where nothing is known here. */
  kept(id: CursorId, seen: readonly Seen[]): void {
    if (!this.#lanes.has(keyOf(id))) this.#lanes.set(keyOf(id), seen.slice(-SEEN_MAX));
  }

  /** A record is stored. */
  stored(id: CursorId, record: Seen): void {
    const seen = this.of(id);
    if (record.position <= (seen.at(-1)?.position ?? 0)) return;
    this.#lanes.set(keyOf(id), withSeen(seen, record));
  }
}

const keyOf = ({ log, partition, subscription }: CursorId) => `${log}/${partition}/${subscription}`;
