import { MeshError, unavailable, type Reason } from '@eventmesh/errors';
import { RequestError } from '@nats-io/nats-core';

/** Stable error codes of the JetStream API (server/errors.json). */
export const API_ERROR = Object.freeze({
  clusterIncomplete: 10004,
  clusterNoPeers: 10005,
  clusterNotAvailable: 10008,
  clusterNotLeader: 10009,
  insufficientResources: 10023,
  memoryExceeded: 10028,
  storageExceeded: 10047,
  messageSizeExceeded: 10054,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  streamOffline: 10118,
  lastSequenceNotReady: 10163,
  wrongLastSequenceConstant: 10164,
  batchIncomplete: 10176,
  streamOfflineReason: 10194,
});

const FULL: ReadonlySet<number> = new Set([
  API_ERROR.insufficientResources,
  API_ERROR.storageExceeded,
  API_ERROR.memoryExceeded,
]);

/** Said by servers that cannot know: between two leaders, or while they start. */
const LEADERLESS: ReadonlySet<number> = new Set([
  API_ERROR.clusterIncomplete,
  API_ERROR.clusterNotAvailable,
  API_ERROR.clusterNotLeader,
  API_ERROR.streamOffline,
  API_ERROR.lastSequenceNotReady,
  API_ERROR.streamOfflineReason,
]);

/** Reasons of an Unavailable that may be over a moment later. */
const PASSING: ReadonlySet<Reason> = new Set([
  'NO_ANSWER',
  'NO_CONNECTION',
  'NO_LEADER',
  'NO_PEERS',
  'REPLICA_BEHIND',
]);

/** The code of an error of the JetStream API, as thrown or as MeshError made of it; else 0. */
export function apiCode(error: unknown): number {
  const thrown = error instanceof MeshError ? error.cause : error;
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'number' ? code : 0;
}

/** Whether the same call may go well a moment later, with nothing done about it. */
export const isPassing = (error: MeshError): boolean =>
  error.code === 'Unavailable' && PASSING.has(error.reason);

/** Unavailable, with one of the reasons that pass. */
const passing = (reason: Reason, message: string, cause?: unknown): MeshError =>
  new MeshError('Unavailable', message, { reason, retryAfterMs: 1000 }, cause);

/** Nobody took the call: whatever it was to do was not done. */
export const noLeader = (cause?: unknown): MeshError =>
  passing(
    'NO_LEADER',
    'no stream answers; without a majority of its replicas it has no leader',
    cause,
  );

/** What became of the call is not known. */
export const noAnswer = (afterMs?: number, cause?: unknown): MeshError =>
  passing(
    'NO_ANSWER',
    'JetStream did not answer in time; a stream without a majority of its replicas has no leader to answer' +
      (afterMs === undefined ? '' : ` (${afterMs} ms)`),
    cause,
  );

export const noConnection = (message: string): MeshError => passing('NO_CONNECTION', message);

/** The replica that was asked does not have yet what the leader has. */
export const replicaBehind = (position: number): MeshError =>
  passing('REPLICA_BEHIND', `position ${position} is stored, but a replica did not give it`);

/** What a failed call of the JetStream API means to us; total. */
export function fromJetStream(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const code = apiCode(error);
  if (FULL.has(code)) {
    return new MeshError(
      'ResourceExhausted',
      'JetStream has no room left; nothing was stored',
      { reason: 'DISK_FULL', retryAfterMs: 5000 },
      error,
    );
  }
  if (code === API_ERROR.batchIncomplete) {
    return unavailable(
      'nats-server did not write the whole batch: its leader changed in the middle of it, or its ' +
        'disk is full or failing, see its log; after an error of the disk it writes to the stream ' +
        'again only when it is started anew',
      error,
    );
  }
  if (code === API_ERROR.clusterNoPeers) {
    const why = error instanceof Error ? error.message : 'no peers';
    return passing('NO_PEERS', `JetStream has not enough servers for the replicas (${why})`, error);
  }
  if (LEADERLESS.has(code)) {
    return passing(
      'NO_LEADER',
      'JetStream has no majority of its servers or of the replicas of a stream, and no leader',
      error,
    );
  }
  if (hadNoResponders(error)) return noLeader(error);
  if (nameOf(error) === 'TimeoutError') return noAnswer(undefined, error);
  return unavailable('JetStream did not do what was asked', error);
}

/** The client says "JetStream not enabled" for it, and keeps the error of the request inside. */
function hadNoResponders(error: unknown): boolean {
  const inner =
    error instanceof RequestError ? error : (error as { cause?: unknown } | null)?.cause;
  return inner instanceof RequestError && inner.isNoResponders();
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');
