import type { EmesherMetrics } from '../metrics.ts';
import type { Directory } from './directory.ts';

/** Names that others own and that are remembered; beyond it the longest remembered is forgotten. */
const NAMES_MAX = 100_000;

interface Refusal {
  readonly member: string;
  /** When its owner was known to have left; undefined while it is there. */
  readonly leftMs: number | undefined;
}

/**
 * Counts the names that come to this emesher because their owner has left the site, be it that its
 * lease ended. One that the owner gave up while it was there is a change of owner as any other.
 */
export class Takeovers {
  readonly #metrics: Pick<EmesherMetrics, 'takeovers' | 'takeoverSeconds'>;
  readonly #now: () => number;
  readonly #refused = new Map<string, Refusal>();

  /** @param now monotonic, ms */
  constructor(
    directory: Pick<Directory, 'listen'>,
    metrics: Pick<EmesherMetrics, 'takeovers' | 'takeoverSeconds'>,
    now: () => number,
  ) {
    this.#metrics = metrics;
    this.#now = now;
    directory.listen({
      refused: (name, member) => this.#wait(name, member),
      acquired: (name) => this.#acquired(name),
      memberLeft: (member) => this.#left(member),
    });
  }

  #wait(name: string, member: string): void {
    const there = this.#refused.get(name);
    // A registry that is slow to end what hung on a lease refuses for an owner that has left.
    if (member === '' || there?.member === member) return;
    this.#refused.delete(name);
    const [oldest] = this.#refused.keys();
    if (this.#refused.size >= NAMES_MAX && oldest !== undefined) this.#refused.delete(oldest);
    this.#refused.set(name, { member, leftMs: undefined });
  }

  #left(member: string): void {
    const leftMs = this.#now();
    for (const [name, refusal] of this.#refused) {
      if (refusal.member === member) this.#refused.set(name, { member, leftMs });
    }
  }

  #acquired(name: string): void {
    const leftMs = this.#refused.get(name)?.leftMs;
    this.#refused.delete(name);
    if (leftMs === undefined) return;
    this.#metrics.takeovers.inc({ kind: name.split('/', 1)[0] ?? '' });
    this.#metrics.takeoverSeconds.observe((this.#now() - leftMs) / 1000);
  }
}
