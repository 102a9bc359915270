import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  collectDefaultMetrics,
  type Metric,
} from 'prom-client';
import { EventHistogram } from './event-histogram.ts';

/** Definition of one metric; the reference page is generated from these. */
export interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
  /** The fill of queues: read when somebody looks, from those that `measure` has named. */
  readonly queue?: true;
  /** Observed with every event. */
  readonly hot?: true;
}

export type CounterDefinition = MetricDefinition & { readonly kind: 'counter' };
export type GaugeDefinition = MetricDefinition & { readonly kind: 'gauge' };
export type HistogramDefinition = MetricDefinition & { readonly kind: 'histogram' };
export type EventHistogramDefinition = HistogramDefinition & { readonly hot: true };
export type QueueDefinition = GaugeDefinition & { readonly queue: true };

export const counter = (
  name: string,
  help: string,
  labels: readonly string[] = [],
): CounterDefinition => ({ kind: 'counter', name, help, labels });

export const gauge = (
  name: string,
  help: string,
  labels: readonly string[] = [],
): GaugeDefinition => ({ kind: 'gauge', name, help, labels });

/**
 * How full queues of one kind are: the fill of the fullest, for each has the same bound and it is
 * the fullest that reaches it. Without labels, so that many queues do not make many series.
 */
export const queueGauge = (name: string, help: string): QueueDefinition => ({
  kind: 'gauge',
  name,
  help,
  labels: [],
  queue: true,
});

/** Upper bounds in seconds; default 0.5 ms to 10 s. */
export const histogram = (
  name: string,
  help: string,
  labels: readonly string[] = [],
  buckets: readonly number[] = LATENCY_BUCKETS,
): HistogramDefinition => ({ kind: 'histogram', name, help, labels, buckets });

/** As `histogram`, for what is observed with every event. */
export const eventHistogram = (
  name: string,
  help: string,
  labels: readonly string[] = [],
  buckets: readonly number[] = LATENCY_BUCKETS,
): EventHistogramDefinition => ({ kind: 'histogram', name, help, labels, buckets, hot: true });

const LATENCY_BUCKETS = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
]);

type Live<D> = D extends CounterDefinition
  ? Counter
  : D extends GaugeDefinition
    ? Gauge
    : D extends EventHistogramDefinition
      ? EventHistogram
      : D extends HistogramDefinition
        ? Histogram
        : never;

/** Live handles of a set of definitions, by the same keys. */
export type LiveMetrics<S> = { readonly [K in keyof S]: Live<S[K]> };

/** The metrics of one process, rendered in the Prometheus text format. */
export class Metrics {
  readonly #registry = new Registry();
  readonly contentType = this.#registry.contentType;
  /** What `measure` has named, by the name of the gauge. */
  readonly #queues = new Map<string, Set<() => number>>();
  readonly #looks = new Set<() => void>();

  /** Adds process and event-loop metrics (`process_*`, `nodejs_*`). Once. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /**
   * Makes the handles of a set of definitions. A name that exists already, because two parts run in
   * one process, is shared.
   */
  use<S extends Readonly<Record<string, MetricDefinition>>>(definitions: S): LiveMetrics<S> {
    const live: Record<string, unknown> = {};
    for (const [key, definition] of Object.entries(definitions)) {
      live[key] = this.#registry.getSingleMetric(definition.name) ?? this.#make(definition);
    }
    return live as LiveMetrics<S>;
  }

  /**
   * Names a queue whose fill a gauge tells while it lives. `fill` is called at each scrape and never
   * in between, so a queue pays nothing for it when it is used; it must be quick and must not throw.
   *
   * @returns what to call when the queue is gone. Idempotent.
   */
  measure(definition: QueueDefinition, fill: () => number): () => void {
    this.use({ definition });
    const queues = this.#queuesOf(definition.name);
    queues.add(fill);
    return () => queues.delete(fill);
  }

  /**
   * Has something called whenever somebody looks, before anything is read: what keeps books of its own
   * brings its metrics up to them then, and pays nothing in between. It must be quick and not throw.
   *
   * @returns what to call when it is gone. Idempotent.
   */
  beforeLook(tell: () => void): () => void {
    this.#looks.add(tell);
    return () => this.#looks.delete(tell);
  }

  #look(): void {
    for (const tell of this.#looks) tell();
  }

  #queuesOf(name: string): Set<() => number> {
    const queues = this.#queues.get(name) ?? new Set();
    this.#queues.set(name, queues);
    return queues;
  }

  #make(definition: MetricDefinition): Counter | Gauge | Histogram | EventHistogram {
    const { name, help, labels, buckets = LATENCY_BUCKETS } = definition;
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    if (definition.kind === 'counter') return new Counter(options);
    if (definition.queue === true) {
      const queues = this.#queuesOf(name);
      const collect = () => {
        let fullest = 0;
        for (const fill of queues) fullest = Math.max(fullest, fill());
        made.set(fullest);
      };
      const made: Gauge = new Gauge({ ...options, collect });
      return made;
    }
    if (definition.kind === 'gauge') return new Gauge(options);
    if (definition.hot !== true) return new Histogram({ ...options, buckets: [...buckets] });
    const made = new EventHistogram({ name, help, buckets });
    // Of all that it declares of a metric, a registry uses what this one has.
    this.#registry.registerMetric(made as unknown as Metric);
    return made;
  }

  render(): Promise<string> {
    this.#look();
    return this.#registry.metrics();
  }

  /** The current value of a counter or gauge with exactly these labels; 0 when never set. */
  async value(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    this.#look();
    const metric = await this.#registry.getSingleMetric(name)?.get();
    const found = metric?.values.find((candidate) =>
      sameLabels(candidate.labels as Record<string, string>, labels),
    );
    return found?.value ?? 0;
  }
}

function sameLabels(a: Record<string, string>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => String(a[name]) === b[name])
  );
}

/** Spans on their way out of a process. */
export const TRACING_METRICS = {
  spans: queueGauge('eventmesh_spans_waiting', 'Spans that wait for the collector.'),
} as const;

/** Connections of the servers of a process. */
export const CONNECTION_METRICS = Object.freeze({
  open: gauge('eventmesh_connections', 'Connections that are open, by server (grpc, http).', [
    'server',
  ]),
  refused: counter(
    'eventmesh_connections_refused_total',
    'Connections closed at once because there were as many as may be, by server (grpc, http).',
    ['server'],
  ),
});
