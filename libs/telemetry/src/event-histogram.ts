type Labels = Readonly<Record<string, string>>;

/** What Prometheus reads of a histogram. */
interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

export interface EventHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds of the buckets, rising. */
  readonly buckets: readonly number[];
}

/** The observations with the same labels. */
export class Observations {
  readonly labels: Labels;
  readonly #bounds: readonly number[];
  /** By bucket, each for itself; the last one is beyond all bounds. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** @param value Finite. */
  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += value;
  }

  samples(name: string): Sample[] {
    const { labels } = this;
    const samples: Sample[] = [];
    let count = 0;
    for (const [bucket, own] of this.#counts.entries()) {
      count += own;
      const le = this.#bounds[bucket] ?? '+Inf';
      samples.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count });
    }
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum });
    samples.push({ metricName: `${name}_count`, labels, value: count });
    return samples;
  }
}

/**
 * A histogram for what is observed with every event, in the form that a registry of prom-client
 * takes. That of prom-client looks its labels up with each observation, which costs some percent of
 * a delivery; here whoever observes looks them up once, and then counts in an array.
 */
export class EventHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Observations>();

  constructor({ name, help, buckets }: EventHistogramOptions) {
    this.name = name;
    this.help = help;
    this.#bounds = buckets;
  }

  /** Where to observe with these labels, named always in the same order. */
  of(labels: Labels = {}): Observations {
    const key = JSON.stringify(labels);
    const own = this.#series.get(key) ?? new Observations(labels, this.#bounds);
    this.#series.set(key, own);
    return own;
  }

  get(): Promise<unknown> {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series.values()].flatMap((series) => series.samples(name));
    return Promise.resolve({ name, help, type, aggregator, values });
  }

  reset(): void {
    this.#series.clear();
  }
}
