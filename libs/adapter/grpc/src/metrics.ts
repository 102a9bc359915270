import { queueGauge } from '@eventmesh/telemetry';

/** Queues of gRPC streams; read when somebody looks. */
export const GRPC_METRICS = {
  publishEvents: queueGauge(
    'eventmesh_publish_stream_events',
    'Events of the fullest gRPC publish stream that are not answered yet.',
  ),
  publishBytes: queueGauge(
    'eventmesh_publish_stream_bytes',
    'Bytes of the events of the fullest gRPC publish stream that are not answered yet.',
  ),
  consumerBytes: queueGauge(
    'eventmesh_consumer_bytes',
    'Bytes of deliveries that wait for the slowest gRPC consumer to read them.',
  ),
  consumerMessages: queueGauge(
    'eventmesh_consumer_messages',
    'Gaps and refused settles that wait for the slowest gRPC consumer to read them.',
  ),
} as const;
