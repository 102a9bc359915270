import { EventView, encodeEvent } from '@eventmesh/event';
import { compileFilters, type FilterSpec, type Predicate } from '@eventmesh/filter';
import { TopicTrie } from '@eventmesh/routing';
import type { Figure, Measurement } from '../figure.ts';

const DATA = Buffer.alloc(1024, 0x61);
const REGIONS = ['eu', 'us', 'apac', 'sa'];
const TYPICAL =
  "type LIKE 'com.example.%' AND region IN ('eu', 'us') AND (priority > 5 OR EXISTS vip)";

/** As many events as differ in what the filters look at, and more than a branch can learn. */
const EVENTS = 1024;
const EVALUATIONS = 4_000_000;
const FROM_BYTES = 400_000;

/** Evaluations a second on this thread. The events are read already, as for all but the first filter. */
export const filterCesql: Figure = {
  name: 'filter.cesql',
  what: `evaluations of ${TYPICAL}; beside: with the event of 1 KiB read from its bytes each time`,
  unit: 'evaluations/s',
  baseline: undefined,
  open() {
    const matches = compileFilters([{ sql: TYPICAL }]);
    const encoded = Array.from({ length: EVENTS }, (_, i) => eventBytes(i));
    const views = encoded.map((bytes) => new EventView(bytes));
    const evaluate = (times: number): number => {
      let passed = 0;
      for (let i = 0; i < times; i++) if (matches(at(views, i))) passed++;
      return passed;
    };
    const fromBytes = (times: number): number => {
      let passed = 0;
      for (let i = 0; i < times; i++) if (matches(new EventView(at(encoded, i)))) passed++;
      return passed;
    };
    return Promise.resolve({
      run() {
        evaluate(EVALUATIONS / 10);
        const { perSecond, cpuSeconds } = timed(EVALUATIONS, evaluate);
        fromBytes(FROM_BYTES / 10);
        const beside = { fromBytes: timed(FROM_BYTES, fromBytes).perSecond };
        return Promise.resolve(measured(perSecond, EVALUATIONS, cpuSeconds, beside));
      },
      close: () => Promise.resolve(),
    });
  },
};

const SUBSCRIPTIONS = 10_000;
const MATCHES = 100_000;
const ONE_TOPIC_MATCHES = 300;

/** How the shared reader of a partition finds who wants an event: by topic, and then by filters. */
export const matchSubscriptions: Figure = {
  name: 'match.subscriptions',
  what:
    'one event read from its bytes and matched against 10,000 subscriptions, each with a topic filter and ' +
    'filters of its own; beside: all 10,000 on one topic, so that each one is evaluated',
  unit: 'µs',
  baseline: undefined,
  open() {
    const spread = new TopicTrie<Predicate>();
    const crowded = new TopicTrie<Predicate>();
    for (let i = 0; i < SUBSCRIPTIONS; i++) {
      const predicate = compileFilters(filtersOf(i));
      spread.add(topicFilterOf(i), predicate);
      crowded.add('shop/#', predicate);
    }
    const encoded = Array.from({ length: EVENTS }, (_, i) => eventBytes(i));
    const matched = new Set<Predicate>();
    const match = (trie: TopicTrie<Predicate>, times: number): number => {
      let passed = 0;
      for (let i = 0; i < times; i++) {
        const event = new EventView(at(encoded, i));
        matched.clear();
        for (const test of trie.match(topicOf(i), matched)) if (test(event)) passed++;
      }
      return passed;
    };
    return Promise.resolve({
      run() {
        match(spread, MATCHES / 10);
        const { perSecond, cpuSeconds } = timed(MATCHES, (times) => match(spread, times));
        const oneTopic = timed(ONE_TOPIC_MATCHES, (times) => match(crowded, times));
        const beside = { oneTopic: 1e6 / oneTopic.perSecond };
        return Promise.resolve(measured(1e6 / perSecond, MATCHES, cpuSeconds, beside));
      },
      close: () => Promise.resolve(),
    });
  },
};

/** Every 100th subscription is for all stores, the others for one topic of one store each. */
const topicFilterOf = (i: number): string =>
  i % 100 === 0
    ? `shop/+/orders/${i % 10}/#`
    : `shop/store-${i % 1000}/orders/${Math.floor(i / 1000)}`;
const topicOf = (i: number): string => `shop/store-${i % 1000}/orders/${i % 10}`;

function filtersOf(i: number): FilterSpec[] {
  if (i % 3 === 0) return [{ exact: { type: `com.example.order.kind-${i}` } }];
  if (i % 3 === 1) return [{ prefix: { source: `/store/${i}` } }, { exact: { region: 'eu' } }];
  return [{ sql: `type LIKE 'com.example.%' AND priority > ${i % 10} AND region = 'r-${i}'` }];
}

function eventBytes(i: number): Buffer {
  return encodeEvent({
    id: `order-${i}`,
    source: `/store/${i}`,
    type: i % 8 === 0 ? 'org.other.thing' : `com.example.order.kind-${i}`,
    attributes: [
      ['subject', { kind: 'string', value: `orders/${i}` }],
      ['region', { kind: 'string', value: REGIONS[i % REGIONS.length] ?? '' }],
      ['priority', { kind: 'integer', value: i % 11 }],
      ...(i % 5 === 0 ? ([['vip', { kind: 'boolean', value: true }]] as const) : []),
    ],
    data: { kind: 'binary', bytes: DATA },
  });
}

function at<T>(items: readonly T[], i: number): T {
  const item = items[i % items.length];
  if (item === undefined) throw new Error('there are no events');
  return item;
}

function timed(
  times: number,
  run: (times: number) => number,
): { perSecond: number; cpuSeconds: number } {
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  if (run(times) > times * SUBSCRIPTIONS) throw new Error('more matches than there can be');
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: times / seconds, cpuSeconds: (user + system) / 1e6 };
}

const measured = (
  value: number,
  events: number,
  cpuSeconds: number,
  beside: Readonly<Record<string, number>>,
): Measurement => ({ value, events, cpuSeconds, generatorCpuSeconds: 0, beside });
