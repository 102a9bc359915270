import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Definition of one metric; the reference page is generated from these. */
export interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

export type CounterDefinition = MetricDefinition & { readonly kind: 'counter' };
export type GaugeDefinition = MetricDefinition & { readonly kind: 'gauge' };
export type HistogramDefinition = MetricDefinition & { readonly kind: 'histogram' };

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

/** Upper bounds in seconds; default 0.5 ms to 10 s. */
export const histogram = (
  name: string,
  help: string,
  labels: readonly string[] = [],
  buckets: readonly number[] = LATENCY_BUCKETS,
): HistogramDefinition => ({ kind: 'histogram', name, help, labels, buckets });

const LATENCY_BUCKETS = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
]);

type Live<D> = D extends CounterDefinition
  ? Counter
  : D extends GaugeDefinition
    ? Gauge
    : D extends HistogramDefinition
      ? Histogram
      : never;

/** Live handles of a set of definitions, by the same keys. */
export type LiveMetrics<S> = { readonly [K in keyof S]: Live<S[K]> };

/** The metrics of one process, rendered in the Prometheus text format. */
export class Metrics {
  readonly #registry = new Registry();
  readonly contentType = this.#registry.contentType;

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

  #make(definition: MetricDefinition): Counter | Gauge | Histogram {
    const { name, help, labels, buckets } = definition;
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    if (definition.kind === 'counter') return new Counter(options);
    if (definition.kind === 'gauge') return new Gauge(options);
    return new Histogram({ ...options, buckets: [...(buckets ?? LATENCY_BUCKETS)] });
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** The current value of a counter or gauge with exactly these labels; 0 when never set. */
  async value(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
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
