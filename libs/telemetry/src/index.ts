export { createLogger, type Logger, type LoggerOptions } from './logger.ts';
export {
  Metrics,
  counter,
  gauge,
  histogram,
  type LiveMetrics,
  type MetricDefinition,
} from './metrics.ts';
export {
  createTracing,
  parseTraceparent,
  traceparentOf,
  type Tracing,
  type TracingOptions,
} from './tracing.ts';
