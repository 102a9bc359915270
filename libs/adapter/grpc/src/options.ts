import { Metrics } from '@eventmesh/telemetry';

/** Bounds of what waits for one consumer to read it. */
export interface ConsumerLimits {
  /**
   * Bytes of deliveries: the mesh is given so much of the consumer's credit at a time. One event
   * more than fits may wait. Default 8 MiB.
   */
  readonly consumerBytesMax: number;
  /** Gaps and refused settles; with more the stream is ended. Default 65,536. */
  readonly consumerMessagesMax: number;
  /** Told how full the queues are. Default: nobody is. */
  readonly metrics: Metrics;
}

export interface GrpcAdapterOptions extends ConsumerLimits {
  /** Events of one publish stream that may be unanswered. Default 8,192. */
  readonly windowEvents: number;
  /** Bytes of them. Default 64 MiB. */
  readonly windowBytes: number;
}

export const GRPC_ADAPTER_DEFAULTS = Object.freeze({
  windowEvents: 8192,
  windowBytes: 64 * 1024 * 1024,
  consumerBytesMax: 8 * 1024 * 1024,
  consumerMessagesMax: 65_536,
});

export const withDefaults = (given: Partial<GrpcAdapterOptions>): GrpcAdapterOptions => ({
  metrics: new Metrics(),
  ...GRPC_ADAPTER_DEFAULTS,
  ...given,
});
