import { groupSize, type Work } from './group.ts';

/**
 * A second batch is sent before the first is answered only when it is this big: small ones gain
 * more by waiting, since a sync costs the same for any size.
 */
const SECOND_GROUP_MESSAGES = 250;

/** What one partition may have under way at the server. */
export interface InFlightLimits {
  readonly groupsInFlightMax: number;
  /**
   * So few appends of one message each are sent one by one, each behind the one before without waiting
   * for it: the server takes 3 ms for the smallest atomic batch and 0.25 ms for a single message.
   */
  readonly singlesInFlightMax: number;
}

/**
 * The appends that wait to be sent, in the order of the calls. It decides which of them go together
 * and which have to wait, by nothing but what waits and what is under way: the writer knows what
 * becomes of them.
 */
export class AppendQueue {
  readonly #limits: InFlightLimits;
  #works: Work[] = [];
  /** Of all works. */
  #messages = 0;

  constructor(limits: InFlightLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#works.length;
  }

  add(work: Work): void {
    this.#works.push(work);
    this.#messages += work.batch.records.length;
  }

  /** Before everything that came later. */
  putBack(works: readonly Work[]): void {
    if (works.length === 0) return;
    this.#works = [...works, ...this.#works];
    for (const { batch } of works) this.#messages += batch.records.length;
  }

  /**
   * Takes what may be sent now; undefined when there is nothing, or it has to wait.
   *
   * @param inFlight commits under way
   * @param singles those of them that are of a single message
   */
  takeGroup(inFlight: number, singles: number): Work[] | undefined {
    const [first] = this.#works;
    if (first === undefined) return undefined;
    const { groupsInFlightMax, singlesInFlightMax } = this.#limits;
    if (first.batch.records.length === 1 && this.#messages <= singlesInFlightMax) {
      const behindSingles = inFlight === singles && singles < singlesInFlightMax;
      return behindSingles ? this.#take(1, 1) : undefined;
    }
    const big = this.#messages >= SECOND_GROUP_MESSAGES;
    if (inFlight > 0 && (!big || inFlight >= groupsInFlightMax)) return undefined;
    const { count, messages } = groupSize(this.#works);
    return this.#take(count, messages);
  }

  takeAll(): Work[] {
    return this.#take(this.#works.length, this.#messages);
  }

  #take(count: number, messages: number): Work[] {
    const group = this.#works.slice(0, count);
    this.#works = this.#works.slice(count);
    this.#messages -= messages;
    return group;
  }
}
