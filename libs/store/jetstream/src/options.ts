import type { ConnectionOptions } from '@nats-io/nats-core';

/** Settings of the JetStream store. */
export interface JetStreamStoreOptions {
  /** `nats://host:port`, several of one cluster. */
  readonly servers: readonly string[];
  /** How to log in, as the NATS client takes it: user and password, token, authenticator, tls. */
  readonly credentials?: Pick<
    ConnectionOptions,
    'user' | 'pass' | 'token' | 'authenticator' | 'tls'
  >;
  /** Copies of each stream: 1, 3 or 5. Default 1. */
  readonly replicas?: number;
  /** First token of all subjects and of the names of streams. Default `eventmesh`. */
  readonly prefix?: string;
  /**
   * Base of the HTTP monitoring endpoint of every server that may hold a replica. Without it the
   * sync setting cannot be seen and the store calls itself `page-cache`.
   */
  readonly monitorUrls?: readonly string[];
  /** Bytes of records that may wait for their receipts; more is refused. Default 256 MiB. */
  readonly pendingBytesMax?: number;
  /** Group commits of one partition that may be under way. Default 3. */
  readonly groupsInFlightMax?: number;
  /** So few appends of one record each are sent one by one, so many at a time. Default 8. */
  readonly singlesInFlightMax?: number;
  /**
   * How long to wait for the server's answer before an outcome is unknown, and for a stream without a
   * leader before a call is refused as Unavailable, in ms. Default 5,000.
   */
  readonly ackTimeoutMs?: number;
  /** How long to try to connect at open, and to wait there for each leader, in ms. Default 10,000. */
  readonly connectTimeoutMs?: number;
}

export const DEFAULT_JETSTREAM_OPTIONS = Object.freeze({
  replicas: 1,
  prefix: 'eventmesh',
  monitorUrls: Object.freeze([]) as readonly string[],
  pendingBytesMax: 256 * 1024 * 1024,
  groupsInFlightMax: 3,
  singlesInFlightMax: 8,
  ackTimeoutMs: 5000,
  connectTimeoutMs: 10_000,
});
