import type { HistoryLine } from './history.ts';

/** What shapes a generated history; all numbers from 0. */
export interface CleanHistoryShape {
  readonly seed: number;
  readonly events: number;
  readonly keys: number;
  /** Share of deliveries, in percent, that are given back and come again. */
  readonly releasedPercent: number;
  /** Share of sends, in percent, whose outcome is unknown; half of them arrive. */
  readonly unknownPercent: number;
}

/**
 * A history as a faultless at-least-once system would leave it: two tenants, a subscription to
 * everything, one to a part, and one of the other tenant; redeliveries and unknown outcomes as the
 * shape says. For tests of the checker and of what writes histories.
 */
export function cleanHistory(shape: CleanHistoryShape): HistoryLine[] {
  const random = mulberry32(shape.seed);
  const chance = (percent: number) => random() * 100 < percent;
  const lines: HistoryLine[] = [];
  let t = 0;
  const write = (line: Omit<HistoryLine, 't'>) => lines.push({ ...line, t: ++t } as HistoryLine);
  write({ op: 'subscribe', sub: 'all', tenant: 'a', topicFilters: ['orders/#'] } as never);
  write({ op: 'subscribe', sub: 'eu', tenant: 'a', topicFilters: ['orders/eu/+'] } as never);
  write({ op: 'subscribe', sub: 'other', tenant: 'b', topicFilters: ['#'] } as never);

  interface Event {
    readonly id: string;
    readonly tenant: string;
    readonly topic: string;
    readonly key: string;
    readonly hash: string;
  }
  const receive = (sub: string, event: Event, attempt: number) =>
    write({ op: 'recv', sub, attempt, ...event, tenant: undefined } as never);
  const deliver = (sub: string, event: Event) => {
    let attempt = 1;
    receive(sub, event, attempt);
    while (attempt < 4 && chance(shape.releasedPercent)) {
      write({ op: 'settle', sub, id: event.id, outcome: 'release' } as never);
      receive(sub, event, ++attempt);
    }
    write({ op: 'settle', sub, id: event.id, outcome: 'accept' } as never);
  };

  const waiting: Event[] = [];
  for (let n = 1; n <= shape.events; n++) {
    const tenant = chance(20) ? 'b' : 'a';
    const key = `k${Math.floor(random() * Math.max(1, shape.keys))}`;
    const topic = chance(50) ? 'orders/eu/new' : 'orders/us/new';
    const event = { id: `${tenant}-1-${n}`, tenant, topic, key, hash: `h${n}` };
    write({ op: 'send', producer: `p-${tenant}`, ...event } as never);
    const unknown = chance(shape.unknownPercent);
    write({ op: unknown ? 'unknown' : 'ok', id: event.id } as never);
    if (!unknown || chance(50)) waiting.push(event);
    while (waiting.length > 0 && chance(60)) flush(waiting.shift());
  }
  while (waiting.length > 0) flush(waiting.shift());
  return lines;

  function flush(event: Event | undefined): void {
    if (event === undefined) return;
    if (event.tenant === 'b') deliver('other', event);
    else {
      deliver('all', event);
      if (event.topic.startsWith('orders/eu/')) deliver('eu', event);
    }
  }
}

/** A small seeded generator (mulberry32), so that a history replays from its seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
}
