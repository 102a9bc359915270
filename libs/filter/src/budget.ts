/**
 * Most steps that the filters of one subscription take over one event, all together. A step is
 * what it takes to look at one character, about 2 ns; so this is about 5 ms, in which the site does
 * nothing else.
 */
export const FILTER_STEPS_MAX = 2_500_000;

/**
 * The steps that the filters of a subscription share over one event. Counted is only what grows
 * with the event (characters that LIKE and functions look at, values in JSON data); the rest is
 * bounded by the size of the filters.
 */
export class Budget {
  readonly max: number;
  #spent = 0;
  #spentBefore = 0;

  constructor(max = FILTER_STEPS_MAX) {
    this.max = max;
  }

  /** How many have been taken for this event; more than `max` when there were not so many. */
  get spent(): number {
    return this.#spent;
  }

  /** How many the last event took that took any. */
  get spentBefore(): number {
    return this.#spentBefore;
  }

  get overspent(): boolean {
    return this.#spent > this.max;
  }

  /** Takes whole steps. False when there are not so many left; then nothing is, not even for none. */
  spend(steps: number): boolean {
    const spent = this.#spent + steps;
    this.#spent = Math.min(spent, this.max + 1);
    return spent <= this.max;
  }

  /** How often something that takes so many steps can be done. */
  affords(steps: number): number {
    return Math.max(0, Math.floor((this.max - this.#spent) / steps));
  }

  /** For the next event. */
  refill(): void {
    this.#spentBefore = this.#spent;
    this.#spent = 0;
  }

  /** What an error says of it. */
  get message(): string {
    return `the filters together take more than ${this.max} steps over this event`;
  }
}
