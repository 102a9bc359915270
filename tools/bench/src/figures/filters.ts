import { EventView, encodeEvent } from '@eventmesh/event';
import {
  compileFilters,
  necessaryConditions,
  type FilterSpec,
  type Predicate,
} from '@eventmesh/filter';
import { MatchTable } from '@eventmesh/routing';
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

/** A stored record, as far as matching goes. */
interface Stored {
  readonly topic: string;
  readonly bytes: Buffer;
}

/** Somebody who waits: found by what the filters need, and then asked. */
interface Waiting {
  readonly matches: Predicate;
}

type Table = MatchTable<Stored, Waiting>;

let view = new EventView(Buffer.alloc(0));
/** A record's event is read once, as the emesher does it. */
function viewOf({ bytes }: Stored): EventView {
  if (view.bytes !== bytes) view = new EventView(bytes);
  return view;
}

/** How the shared reader of a partition finds who wants an event: by topic, and then by filters. */
export const matchSubscriptions: Figure = {
  name: 'match.subscriptions',
  what:
    'one event read from its bytes and matched against 10,000 subscriptions, each with a topic filter and ' +
    'filters of its own; beside: all 10,000 on one topic, each with an exact filter of its own, and ' +
    'with exact, prefix, suffix, any and sql filters mixed',
  unit: 'µs',
  baseline: undefined,
  open() {
    const records = Array.from({ length: EVENTS }, (_, i) => eventBytes(i));
    const spread = tableOf(topicFilterOf, filtersOf);
    const distinct = tableOf(() => 'shop/#', exactFilterOf);
    const mixed = tableOf(() => 'shop/#', mixedFiltersOf);
    const found = new Set<Waiting>();
    const match = (table: Table, times: number): number => {
      let passed = 0;
      for (let i = 0; i < times; i++) {
        const record = { topic: topicOf(i), bytes: at(records, i) };
        found.clear();
        for (const { matches } of table.match(record, found)) {
          if (matches(viewOf(record))) passed++;
        }
      }
      return passed;
    };
    const microseconds = (table: Table) => {
      match(table, MATCHES / 10);
      const { perSecond, cpuSeconds } = timed(MATCHES, (times) => match(table, times));
      return { us: 1e6 / perSecond, cpuSeconds };
    };
    return Promise.resolve({
      run() {
        const { us, cpuSeconds } = microseconds(spread);
        const beside = { oneTopic: microseconds(distinct).us, mixed: microseconds(mixed).us };
        return Promise.resolve(measured(us, MATCHES, cpuSeconds, beside));
      },
      close: () => Promise.resolve(),
    });
  },
};

function tableOf(topicFilter: (i: number) => string, filters: (i: number) => FilterSpec[]): Table {
  const table: Table = new MatchTable(viewOf);
  for (let i = 0; i < SUBSCRIPTIONS; i++) {
    const own = filters(i);
    const waiting = { matches: compileFilters(own) };
    table.add([topicFilter(i)], necessaryConditions(own), waiting);
  }
  return table;
}

/** Every 100th subscription is for all stores, the others for one topic of one store each. */
const topicFilterOf = (i: number): string =>
  i % 100 === 0
    ? `shop/+/orders/${i % 10}/#`
    : `shop/store-${i % 1000}/orders/${Math.floor(i / 1000)}`;
const topicOf = (i: number): string => `shop/store-${i % 1000}/orders/${i % 10}`;

function filtersOf(i: number): FilterSpec[] {
  if (i % 3 === 0) return [exact(`com.example.order.kind-${i}`)];
  if (i % 3 === 1) return [{ prefix: { source: `/store/${i}` } }, { exact: { region: 'eu' } }];
  return [{ sql: `type LIKE 'com.example.%' AND priority > ${i % 10} AND region = 'r-${i}'` }];
}

const exact = (type: string): FilterSpec => ({ exact: { type } });
const exactFilterOf = (i: number): FilterSpec[] => [exact(`com.example.order.kind-${i}`)];

/** Every kind of filter that people write, two thirds of them with more than one part. */
function mixedFiltersOf(i: number): FilterSpec[] {
  const type = `com.example.order.kind-${i}`;
  switch (i % 6) {
    case 0:
      return [exact(type)];
    case 1:
      return [{ prefix: { source: `/store/${i}` } }, { exact: { region: 'eu' } }];
    case 2:
      return [{ suffix: { subject: `s/${i}` } }];
    case 3:
      return [{ any: [exact(type), { exact: { subject: `orders/${i}` } }] }];
    case 4:
      return [{ sql: `type LIKE 'com.example.%' AND priority > ${i % 10} AND region = 'r-${i}'` }];
    default:
      return [{ sql: `type IN ('${type}', 'com.example.refund.kind-${i}') AND EXISTS vip` }];
  }
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
