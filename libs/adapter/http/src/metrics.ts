import {
  counter,
  gauge,
  histogram,
  queueGauge,
  type LiveMetrics,
  type Metrics,
} from '@eventmesh/telemetry';
import type { Consumers } from './consumers.ts';

export const HTTP_METRICS = Object.freeze({
  requests: counter('eventmesh_http_requests_total', 'HTTP requests answered.', [
    'route',
    'status',
  ]),
  publishSeconds: histogram(
    'eventmesh_http_publish_seconds',
    'Time from the whole request to its receipt.',
  ),
  streamEvents: queueGauge(
    'eventmesh_http_stream_events',
    'Events that are written to the slowest SSE stream and not flushed.',
  ),
  streamBytes: queueGauge(
    'eventmesh_http_stream_bytes',
    'Bytes of events that are written to the slowest SSE stream and not flushed.',
  ),
  pullBytes: queueGauge(
    'eventmesh_http_pull_bytes',
    'Bytes of events in the largest answer to a pull that is being put together.',
  ),
  pullMessages: queueGauge(
    'eventmesh_http_pull_messages',
    'Refused settles and gaps that wait for the pull of the slowest pull consumer.',
  ),
  unfinished: queueGauge(
    'eventmesh_http_unfinished_bytes',
    'Bytes of HTTP bodies that have come in part, of all requests together.',
  ),
  unfinishedRefused: counter(
    'eventmesh_http_unfinished_refused_total',
    'HTTP requests refused because bodies that had come in part took too many bytes.',
  ),
  streams: gauge('eventmesh_http_streams', 'Open SSE streams and pull consumers.', ['kind']),
});

/** The adapter's metrics; label sets are made once, not per request. */
export class HttpMetrics {
  readonly #metrics: Metrics;
  readonly #live: LiveMetrics<typeof HTTP_METRICS>;
  readonly #answered = new Map<string, { inc(): void }>();

  constructor(metrics: Metrics, consumers: Consumers) {
    this.#metrics = metrics;
    this.#live = metrics.use(HTTP_METRICS);
    const { streams } = consumers;
    metrics.measure(HTTP_METRICS.streamEvents, () => most(streams, (each) => each.waiting));
    metrics.measure(HTTP_METRICS.streamBytes, () => most(streams, (each) => each.waitingBytes));
    metrics.measure(HTTP_METRICS.pullBytes, () => most(consumers.pulls, (each) => each.bytes));
    metrics.measure(HTTP_METRICS.pullMessages, () =>
      most(consumers.pulls, (each) => each.messages),
    );
  }

  /** Tells the fill of a budget of bodies that have come in part. */
  measureUnfinished(budget: { readonly bytes: number }): void {
    this.#metrics.measure(HTTP_METRICS.unfinished, () => budget.bytes);
  }

  unfinishedRefused(): void {
    this.#live.unfinishedRefused.inc();
  }

  answered(route: string, status: number): void {
    const key = `${route} ${status}`;
    let child = this.#answered.get(key);
    if (child === undefined) {
      child = this.#live.requests.labels(route, String(status));
      this.#answered.set(key, child);
    }
    child.inc();
  }

  published(startedMs: number): void {
    this.#live.publishSeconds.observe((performance.now() - startedMs) / 1000);
  }

  streams(kind: 'sse' | 'pull', change: 1 | -1): void {
    this.#live.streams.labels(kind).inc(change);
  }
}

function most<T>(all: Iterable<T>, fill: (one: T) => number): number {
  let found = 0;
  for (const one of all) found = Math.max(found, fill(one));
  return found;
}
