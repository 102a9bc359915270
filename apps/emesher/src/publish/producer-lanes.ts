import type { Producer } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';

const ID = /^[A-Za-z0-9._-]{1,128}$/;
const EPOCH_MAX = 2 ** 31 - 1;

/** @throws MeshError InvalidArgument. */
export function checkProducer({ id, epoch }: Producer): void {
  if (!ID.test(id)) {
    throw invalid('producer.id', 'must be 1 to 128 letters, digits, -, _ and .');
  }
  if (!Number.isSafeInteger(epoch) || epoch < 1 || epoch > EPOCH_MAX) {
    throw invalid('producer.epoch', `${epoch} is out of bounds`, { limit: `1 to ${EPOCH_MAX}` });
  }
}

/** @throws MeshError InvalidArgument. */
export function checkSequence(sequence: number): void {
  if (Number.isSafeInteger(sequence) && sequence >= 1) return;
  throw invalid('sequence', `${sequence} is not the number of an event of this producer`, {
    limit: '1 to 2^53-1',
  });
}

/** Appends of one producer to one partition. */
interface Lane {
  last: Promise<unknown>;
  broken: boolean;
}

/**
 * The numbers of a producer may have gaps, so an event that was not stored would pass as a duplicate
 * once a later one was. So of one producer's stream a partition gets one append at a time, and none
 * after one that failed: the producer opens a new stream and sends again what was not answered.
 */
export class ProducerLanes {
  /** By the object that an adapter holds for a stream; gone with it. */
  readonly #lanes = new WeakMap<Producer, Map<string, Lane>>();

  append<T>(producer: Producer, where: string, work: () => Promise<T>): Promise<T> {
    const lanes = this.#lanes.get(producer) ?? new Map<string, Lane>();
    this.#lanes.set(producer, lanes);
    const lane = lanes.get(where) ?? { last: Promise.resolve(), broken: false };
    lanes.set(where, lane);
    const done = lane.last.then(async () => {
      if (lane.broken) throw interrupted(producer);
      try {
        return await work();
      } catch (error) {
        lane.broken = true;
        throw error;
      }
    });
    lane.last = done.catch(() => undefined);
    return done;
  }
}

const interrupted = ({ id }: Producer): MeshError =>
  new MeshError(
    'Aborted',
    `an earlier event of producer "${id}" was not stored; open a new stream and send again from there`,
    { reason: 'PRODUCER_INTERRUPTED' },
  );
