import type { Context } from '@opentelemetry/api';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';

/** Spans on their way to a collector, bounded and counted: what finds no room is dropped. */
export class SpanQueue implements SpanProcessor {
  readonly #inner: BatchSpanProcessor;
  readonly #spansMax: number;
  #waiting = 0;

  constructor(exporter: SpanExporter, spansMax: number) {
    this.#spansMax = spansMax;
    const counting: SpanExporter = {
      export: (spans, done) => {
        this.#waiting -= spans.length;
        exporter.export(spans, done);
      },
      shutdown: (...options) => exporter.shutdown(...options),
      forceFlush: (...options) => exporter.forceFlush?.(...options) ?? Promise.resolve(),
    };
    const maxExportBatchSize = Math.min(512, spansMax);
    const options = { exporter: counting, maxQueueSize: spansMax, maxExportBatchSize };
    this.#inner = new BatchSpanProcessor(options);
  }

  /** Spans that no call to the collector has taken yet. */
  get waiting(): number {
    return this.#waiting;
  }

  onStart(span: Span, parent: Context): void {
    this.#inner.onStart(span, parent);
  }

  /** Drops it before the processor would, which tells nobody. */
  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#spansMax) return;
    this.#waiting++;
    this.#inner.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }
}
