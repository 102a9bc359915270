import { counter, queueGauge } from '@eventmesh/telemetry';

export const RPC_METRICS = Object.freeze({
  unfinished: queueGauge(
    'eventmesh_grpc_unfinished_bytes',
    'Bytes kept of gRPC messages that have not come whole, of all calls together.',
  ),
  unfinishedRefused: counter(
    'eventmesh_grpc_unfinished_refused_total',
    'Calls refused because unfinished messages took too many bytes.',
  ),
});
