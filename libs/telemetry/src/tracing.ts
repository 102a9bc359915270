import type { Attributes, Span } from '@opentelemetry/api';
import { TRACING_METRICS, type Metrics } from './metrics.ts';

export interface TracingOptions {
  readonly service: string;
  readonly site?: string;
  /** OTLP over HTTP, such as http://collector:4318/v1/traces. Undefined: no spans are made. */
  readonly otlpUrl?: string | undefined;
  /** Share of traces that start here and are sampled, 0 to 1. */
  readonly sampleRatio: number;
  /** Spans that may wait for the collector; further ones are dropped. Default 2,048. */
  readonly spansMax?: number;
  /** Told how many wait. Default: nobody is. */
  readonly metrics?: Metrics;
}

/**
 * Spans along the path of an event. Cheap when off: the hot path asks `enabled`
 * before it makes anything.
 */
export interface Tracing {
  readonly enabled: boolean;
  /**
   * Starts a span under a W3C traceparent (or a new trace), now or at a time in microseconds since
   * the epoch; undefined when not sampled.
   */
  start(
    name: string,
    parent: string | undefined,
    attributes?: Attributes,
    startUs?: number,
  ): Span | undefined;
  /** Sends what is buffered and stops. */
  close(): Promise<void>;
}

const OFF: Tracing = Object.freeze({
  enabled: false,
  start: () => undefined,
  close: () => Promise.resolve(),
});

/** Loads the OpenTelemetry SDK only when spans are wanted: 12 MiB of an idle process. */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  const { otlpUrl } = options;
  options.metrics?.use(TRACING_METRICS);
  if (otlpUrl === undefined || otlpUrl === '') return OFF;
  const { startOtlpTracing } = await import('./otlp-tracing.ts');
  return startOtlpTracing({ ...options, otlpUrl });
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Parses a W3C traceparent; undefined when it is not one. */
export function parseTraceparent(
  text: string,
): { traceId: string; spanId: string; traceFlags: number } | undefined {
  const match = TRACEPARENT.exec(text);
  if (match === null) return undefined;
  const [, traceId = '', spanId = '', flags = '00'] = match;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1 };
}

/** The W3C traceparent of a span, to be carried in the event. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
