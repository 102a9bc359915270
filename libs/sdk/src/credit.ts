import { invalid } from '@eventmesh/errors';
import { int64, uint32 } from '@eventmesh/wire';

/** What a consumer is ready for. */
export interface Credit {
  readonly events: number;
  /** Absent: bounded by events alone. */
  readonly bytes?: number;
}

/** Most bytes of credit; what a subscription remembers of it. */
export const CREDIT_BYTES_MAX = 2 ** 40;

/**
 * The credit of one stream: what was settled is given back, in steps of a quarter of either bound, so
 * that credit messages stay few. Whatever is settled and not given back yet is less than a quarter of
 * both, so a consumer that settles everything always has credit left.
 */
export class CreditRenewal {
  readonly #credit: Credit;
  /** The bytes of what came and is not settled; nothing in it without a bound in bytes. */
  readonly #unsettled = new Map<bigint, number>();
  #events = 0;
  #bytes = 0;

  /** @throws MeshError InvalidArgument when the bound in bytes is none. */
  constructor(credit: Credit) {
    const { bytes = 1 } = credit;
    if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > CREDIT_BYTES_MAX) {
      throw invalid(
        'creditBytes',
        `${bytes} is out of bounds; leave it out for no bound in bytes`,
        {
          limit: `1 to ${CREDIT_BYTES_MAX} bytes`,
        },
      );
    }
    this.#credit = credit;
  }

  /** The first credit, for the opening of the stream. */
  get first(): Credit {
    return this.#credit;
  }

  /** A delivery has come. */
  took(id: bigint, bytes: number): void {
    if (this.#credit.bytes !== undefined) this.#unsettled.set(id, bytes);
  }

  /** Deliveries were settled. @returns what is to be given now, if anything. */
  settled(ids: readonly bigint[]): Credit | undefined {
    this.#events += ids.length;
    const { events, bytes } = this.#credit;
    if (bytes !== undefined) this.#release(ids);
    const enough = this.#events * 4 >= events || this.#bytes * 4 >= (bytes ?? Infinity);
    if (!enough) return undefined;
    const given = {
      events: this.#events,
      ...(bytes === undefined ? {} : { bytes: this.#bytes }),
    };
    this.#events = 0;
    this.#bytes = 0;
    return given;
  }

  #release(ids: readonly bigint[]): void {
    for (const id of ids) {
      this.#bytes += this.#unsettled.get(id) ?? 0;
      this.#unsettled.delete(id);
    }
  }
}

/** Credit in its gRPC form. */
export const creditToProto = ({ events, bytes }: Credit) => ({
  events: uint32('credit', events),
  bytes: int64('creditBytes', bytes),
});
