import { storeBusy } from '@eventmesh/store-api';

/** Bytes of records that wait for their receipts, over all partitions of a store. */
export class Pending {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws MeshError ResourceExhausted (STORE_BUSY). */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) throw storeBusy(this.#bytesMax);
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}
