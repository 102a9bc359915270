import { MeshError, invalid, unavailable } from '@eventmesh/errors';
import type { ProducerSequence } from './event-store.ts';

export const unknownLog = (name: string): MeshError =>
  new MeshError('NotFound', `there is no log "${name}"; create it with ensureLog`, {
    field: 'log',
    reason: 'LOG_NOT_FOUND',
  });

export const unknownPartition = (log: string, partition: number, partitions: number): MeshError =>
  invalid('partition', `log "${log}" has no partition ${partition}`, {
    limit: `0 to ${partitions - 1}`,
  });

/** The producer's chain does not go on from what is stored. */
export const outOfSequence = (producer: ProducerSequence, last: number): MeshError =>
  new MeshError(
    'Aborted',
    `producer "${producer.id}" goes on from ${producer.previous}, but ${last} is its last sequence`,
    { field: 'producer.previous', reason: 'OUT_OF_SEQUENCE', facts: { last: String(last) } },
  );

/** A session was taken over by a later start of its producer. */
export const producerFenced = (id: string, epoch: number, stored: number): MeshError =>
  new MeshError(
    'Aborted',
    `producer "${id}" of epoch ${epoch} was replaced by epoch ${stored}; nothing was stored, and ` +
      'this epoch may not publish any more',
    { field: 'producer.epoch', reason: 'PRODUCER_FENCED', facts: { epoch: String(stored) } },
  );

/** Positions that were stored and not trimmed are not there: the storage is damaged. */
export const positionsMissing = (
  log: string,
  partition: number,
  from: number,
  to: number,
): MeshError =>
  new MeshError(
    'DataLoss',
    `log "${log}", partition ${partition}: ` +
      (from === to ? `position ${from} is missing` : `positions ${from} to ${to} are missing`) +
      ' without a trim; restore the storage from a backup, or read on behind it',
    {
      reason: 'POSITION_MISSING',
      facts: { log, partition: String(partition), from: String(from), to: String(to) },
    },
  );

/** Nothing of the append was stored; the same may be sent again. */
export const storeBusy = (bytesMax: number): MeshError =>
  new MeshError('ResourceExhausted', 'too many bytes wait for the store', {
    limit: `${bytesMax} bytes`,
    reason: 'STORE_BUSY',
    retryAfterMs: 100,
  });

export const storeClosed = (): MeshError => unavailable('the store is closed');
