export { EventHistogram, type Observations } from './event-histogram.ts';
export { Connections, type ConnectionBounds } from './connections.ts';
export { MessageBudget, type MessageBudgetOptions } from './message-budget.ts';
export { createLogger, type Logger, type LoggerOptions } from './logger.ts';
export {
  CONNECTION_METRICS,
  Metrics,
  counter,
  gauge,
  eventHistogram,
  histogram,
  queueGauge,
  type LiveMetrics,
  type MetricDefinition,
  type QueueDefinition,
} from './metrics.ts';
export {
  createTracing,
  parseTraceparent,
  traceparentOf,
  type Tracing,
  type TracingOptions,
} from './tracing.ts';
