import { doubled, jittered } from '@eventmesh/time';

/** Longest pause while nothing is dialled, or the neighbour has never answered, in ms. */
const PAUSE_MS_MAX = 2000;
const SOON_MS = 100;
/** A connection that lasted this long is no sign of a link that flaps, in ms. */
const STEADY_MS = 10_000;
const SECOND_MS = 1000;

/** How an attempt to open a link ended. */
export interface Attempt {
  /** False: another emesher of the site has the link, or the registry did not say. */
  readonly dialled: boolean;
  /** How long the neighbour answered, in ms; 0 when it did not. */
  readonly upMs: number;
}

/**
 * When a link is tried again. A neighbour that has never answered is about to start, as this site is, and
 * is tried again soon. One that has is dialled at once after a connection that lasted, and from then on at
 * most once a second, however its network flaps. Every pause is jittered, so that neighbours do not come
 * back together.
 */
export class Reconnects {
  readonly #random: () => number;
  #failures = 0;
  #hasAnswered = false;

  /** @param random 0 to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The pause after an attempt, in ms. */
  pauseAfter({ dialled, upMs }: Attempt): number {
    if (upMs > 0) this.#hasAnswered = true;
    if (upMs >= STEADY_MS) this.#failures = 0;
    const failures = this.#failures++;
    const hurried = failures === 0 || !dialled || !this.#hasAnswered;
    if (!hurried) return SECOND_MS * (1 + this.#random());
    return jittered(doubled(SOON_MS, PAUSE_MS_MAX, failures), this.#random);
  }
}
