import type { ConsumerConfig, ConsumerInfo, StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { MeshError } from '@eventmesh/errors';
import { unknownLog, type LogSpec, type PartitionInfo } from '@eventmesh/store-api';
import { API_ERROR, apiCode } from './api-error.ts';
import { ask } from './ask.ts';
import type { Connection } from './connection.ts';
import { logToken } from './subjects.ts';

const MS_TO_NS = 1_000_000;
/** The server's default; only its own duplicate check uses it, and we do not use that. */
const SERVER_WINDOW_MS = 120_000;

export const streamName = (prefix: string, log: string, partition: number): string =>
  `${prefix}-${logToken(log)}-${partition}`;

export const baseSubject = (prefix: string, log: string, partition: number): string =>
  `${prefix}.${logToken(log)}.${partition}`;

/**
 * A partition's stream. `discard: old` is how JetStream enforces a declared retention; without one
 * nothing is ever discarded, and a full disk refuses the append. Single messages cannot be
 * deleted, so positions have no holes.
 */
export function streamConfig(prefix: string, spec: LogSpec, index: number, replicas: number) {
  const config: Partial<StreamConfig> & { name: string } = {
    name: streamName(prefix, spec.name, index),
    description: `EventMesh log ${spec.name}, partition ${index}`,
    subjects: [`${baseSubject(prefix, spec.name, index)}.>`],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    num_replicas: replicas,
    max_age: spec.retentionMs === 0 ? 0 : Math.max(100, spec.retentionMs) * MS_TO_NS,
    max_bytes: spec.retentionBytes === 0 ? -1 : spec.retentionBytes,
    duplicate_window:
      Math.min(
        SERVER_WINDOW_MS,
        spec.retentionMs === 0 ? Infinity : Math.max(100, spec.retentionMs),
      ) * MS_TO_NS,
    allow_atomic: true,
    allow_direct: true,
    deny_delete: true,
  };
  return config;
}

/** Makes the stream or brings it to this configuration. */
export async function ensureStream(
  connection: Connection,
  config: Partial<StreamConfig> & { name: string },
): Promise<StreamInfo> {
  const { streams } = connection.jsm;
  try {
    return await ask(connection, () => streams.update(config.name, config));
  } catch (error) {
    if (apiCode(error) !== API_ERROR.streamNotFound) throw error;
  }
  return ask(connection, () => streams.add(config));
}

export interface StreamRange {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

/** @throws MeshError NotFound when there is no such stream. */
export async function streamRange(connection: Connection, stream: string): Promise<StreamRange> {
  try {
    const { state } = await ask(connection, () => connection.jsm.streams.info(stream));
    const first = state.messages === 0 ? state.last_seq + 1 : state.first_seq;
    return { first, last: state.last_seq, bytes: state.bytes };
  } catch (error) {
    if (apiCode(error) === API_ERROR.streamNotFound) throw unknownLog(stream);
    throw error;
  }
}

export async function partitionInfo(
  connection: Connection,
  stream: string,
  partition: number,
): Promise<PartitionInfo> {
  return { partition, ...(await streamRange(connection, stream)) };
}

/** In 2262: the server counts in nanoseconds, of which no more fit, and takes a later time for the first. */
const TIME_MS_MAX = 9_223_372_036_000;

/** First position stored at or after a time: where a consumer made for that time would start. */
export async function positionAtTime(
  connection: Connection,
  stream: string,
  timeMs: number,
): Promise<number> {
  const { delivered } = await probeConsumer(connection, stream, {
    deliver_policy: 'by_start_time' as never,
    opt_start_time: new Date(Math.min(Math.max(0, timeMs), TIME_MS_MAX)).toISOString(),
  });
  return delivered.stream_seq + 1;
}

/**
 * What the server says of a consumer made only for that.
 *
 * @throws MeshError NotFound when there is no such stream.
 */
export async function probeConsumer(
  connection: Connection,
  stream: string,
  config: Partial<ConsumerConfig>,
): Promise<ConsumerInfo> {
  const { consumers } = connection.jsm;
  const add = () =>
    consumers.add(stream, {
      ...config,
      // A new name for each attempt: one that was given to a dead server stays there.
      name: `probe-${crypto.randomUUID()}`,
      ack_policy: 'none',
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: 5000 * MS_TO_NS,
    });
  try {
    const info = await ask(connection, add);
    // It goes by itself when this is not heard.
    void consumers.delete(stream, info.name).catch(() => undefined);
    return info;
  } catch (error) {
    if (apiCode(error) === API_ERROR.streamNotFound) throw streamGone(stream, error);
    throw error;
  }
}

export const streamGone = (stream: string, cause: unknown): MeshError =>
  new MeshError('NotFound', `the stream ${stream} is gone`, {}, cause);
