import type { Msg } from '@nats-io/nats-core';
import { MeshError, unavailable } from '@eventmesh/errors';
import { API_ERROR, fromJetStream } from './api-error.ts';

interface Ack {
  readonly seq?: number;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/**
 * Reads the server's answer to a group whose last message is to lie at `last`.
 *
 * @throws MeshError Aborted (WRITER_CONFLICT) when another writer was there; Unavailable otherwise.
 */
export function checkAck(message: Msg, last: number): void {
  const { seq, error } = message.json<Ack>();
  if (error !== undefined) {
    const { err_code: code = 0, description = '' } = error;
    if (code === API_ERROR.wrongLastSequence || code === API_ERROR.wrongLastSequenceConstant) {
      throw new MeshError(
        'Aborted',
        'another writer has appended to this partition; nothing was stored, try again',
        { reason: 'WRITER_CONFLICT' },
        error,
      );
    }
    throw fromJetStream(Object.assign(new Error(description), { code }));
  }
  if (seq !== last) {
    throw unavailable(`JetStream answered position ${seq} where ${last} was due`);
  }
}
