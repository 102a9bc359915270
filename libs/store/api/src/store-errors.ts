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

export const storeClosed = (): MeshError => unavailable('the store is closed');
