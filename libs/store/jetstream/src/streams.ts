import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { unknownLog, type LogSpec, type PartitionInfo } from '@eventmesh/store-api';
import { API_ERROR, apiCode, fromJetStream, type Connection } from './connection.ts';
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
    return await streams.update(config.name, config);
  } catch (error) {
    if (apiCode(error) !== API_ERROR.streamNotFound) throw fromJetStream(error);
  }
  try {
    return await streams.add(config);
  } catch (error) {
    throw fromJetStream(error);
  }
}

export interface StreamRange {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

/** @throws MeshError NotFound when there is no such stream. */
export async function streamRange(connection: Connection, stream: string): Promise<StreamRange> {
  connection.checkUp();
  try {
    const { state } = await connection.jsm.streams.info(stream);
    const first = state.messages === 0 ? state.last_seq + 1 : state.first_seq;
    return { first, last: state.last_seq, bytes: state.bytes };
  } catch (error) {
    if (apiCode(error) === API_ERROR.streamNotFound) throw unknownLog(stream);
    throw fromJetStream(error);
  }
}

export async function partitionInfo(
  connection: Connection,
  stream: string,
  partition: number,
): Promise<PartitionInfo> {
  return { partition, ...(await streamRange(connection, stream)) };
}

/** First position stored at or after a time: where a consumer made for that time would start. */
export async function positionAtTime(
  connection: Connection,
  stream: string,
  timeMs: number,
): Promise<number> {
  connection.checkUp();
  const { consumers } = connection.jsm;
  try {
    const info = await consumers.add(stream, {
      name: `seek-${crypto.randomUUID()}`,
      ack_policy: 'none',
      deliver_policy: 'by_start_time' as never,
      opt_start_time: new Date(Math.max(0, timeMs)).toISOString(),
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: 5000 * MS_TO_NS,
    });
    await consumers.delete(stream, info.name);
    return info.delivered.stream_seq + 1;
  } catch (error) {
    throw fromJetStream(error);
  }
}
