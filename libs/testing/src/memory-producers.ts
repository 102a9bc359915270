import type { Producer } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';

const EPOCH_MAX = 2 ** 31 - 1;

/** How far the idempotent producers of a memory mesh are, in each partition. */
export class MemoryProducers {
  readonly #last = new Map<string, { readonly epoch: number; readonly sequence: number }>();

  /** @throws MeshError InvalidArgument for a producer that is none. */
  static check({ id, epoch }: Producer): void {
    if (!/^[A-Za-z0-9._-]{1,128}$/.test(id)) {
      throw invalid('producer.id', 'must be 1 to 128 letters, digits, -, _ and .');
    }
    if (!Number.isSafeInteger(epoch) || epoch < 1 || epoch > EPOCH_MAX) {
      throw invalid('producer.epoch', `${epoch} is out of bounds`, { limit: `1 to ${EPOCH_MAX}` });
    }
  }

  /**
   * Whether a number is new; it is remembered then.
   * @throws MeshError InvalidArgument for what is no number; Aborted (PRODUCER_FENCED).
   */
  take(tenant: string, partition: number, { id, epoch }: Producer, sequence: number): boolean {
    if (!Number.isSafeInteger(sequence) || sequence < 1) {
      throw invalid('sequence', `${sequence} is not the number of an event of this producer`, {
        limit: '1 to 2^53-1',
      });
    }
    const key = JSON.stringify([tenant, partition, id]);
    const last = this.#last.get(key) ?? { epoch, sequence: 0 };
    if (last.epoch > epoch) {
      throw new MeshError('Aborted', `producer "${id}" has epoch ${last.epoch} by now`, {
        field: 'producer.epoch',
        reason: 'PRODUCER_FENCED',
        facts: { epoch: String(last.epoch) },
      });
    }
    if (last.epoch === epoch && sequence <= last.sequence) return false;
    this.#last.set(key, { epoch, sequence });
    return true;
  }
}
