import { counter, gauge, histogram, type LiveMetrics, type Metrics } from '@eventmesh/telemetry';

export const HTTP_METRICS = Object.freeze({
  requests: counter('eventmesh_http_requests_total', 'HTTP requests answered.', [
    'route',
    'status',
  ]),
  publishSeconds: histogram(
    'eventmesh_http_publish_seconds',
    'Time from the whole request to its receipt.',
  ),
  streams: gauge('eventmesh_http_streams', 'Open SSE streams and pull consumers.', ['kind']),
});

/** The adapter's metrics; label sets are made once, not per request. */
export class HttpMetrics {
  readonly #live: LiveMetrics<typeof HTTP_METRICS>;
  readonly #answered = new Map<string, { inc(): void }>();

  constructor(metrics: Metrics) {
    this.#live = metrics.use(HTTP_METRICS);
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
