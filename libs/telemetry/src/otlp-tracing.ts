import { SpanKind, TraceFlags, context, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { SpanQueue } from './span-queue.ts';
import { TRACING_METRICS } from './metrics.ts';
import { parseTraceparent, type Tracing, type TracingOptions } from './tracing.ts';

/** Spans sent in batches to an OTLP collector. */
export function startOtlpTracing(options: TracingOptions & { readonly otlpUrl: string }): Tracing {
  const { service, site, otlpUrl, sampleRatio, spansMax = 2048, metrics } = options;
  const queue = new SpanQueue(new OTLPTraceExporter({ url: otlpUrl }), spansMax);
  metrics?.measure(TRACING_METRICS.spans, () => queue.waiting);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.namespace': 'eventmesh',
      ...(site === undefined ? {} : { 'eventmesh.site': site }),
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [queue],
  });
  const tracer = provider.getTracer('eventmesh');
  return {
    enabled: true,
    start(name, parent, attributes = {}, startUs) {
      const parentContext = parent === undefined ? undefined : parseTraceparent(parent);
      // A caller that decided not to sample has decided for the whole path.
      if (parentContext !== undefined && parentContext.traceFlags !== TraceFlags.SAMPLED) {
        return undefined;
      }
      const under =
        parentContext === undefined
          ? context.active()
          : trace.setSpanContext(context.active(), { ...parentContext, isRemote: true });
      const startTime = startUs === undefined ? {} : { startTime: startUs / 1000 };
      const options = { kind: SpanKind.INTERNAL, attributes, ...startTime };
      const span = tracer.startSpan(name, options, under);
      return span.isRecording() ? span : undefined;
    },
    async close() {
      await provider.shutdown();
    },
  };
}
