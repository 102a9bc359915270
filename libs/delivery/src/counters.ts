/** considered = delivered + filtered + expired + deadLettered + dropped + held. */
export interface Counters {
  considered: number;
  delivered: number;
  filtered: number;
  expired: number;
  deadLettered: number;
  dropped: number;
  redelivered: number;
  filterErrors: number;
}

export const NO_COUNTS: Counters = Object.freeze({
  considered: 0,
  delivered: 0,
  filtered: 0,
  expired: 0,
  deadLettered: 0,
  dropped: 0,
  redelivered: 0,
  filterErrors: 0,
});

/** The books of several partitions as one. */
export function sumCounters(all: Iterable<Counters>): Counters {
  const sum = { ...NO_COUNTS };
  for (const counters of all) {
    sum.considered += counters.considered;
    sum.delivered += counters.delivered;
    sum.filtered += counters.filtered;
    sum.expired += counters.expired;
    sum.deadLettered += counters.deadLettered;
    sum.dropped += counters.dropped;
    sum.redelivered += counters.redelivered;
    sum.filterErrors += counters.filterErrors;
  }
  return sum;
}
