import type { Connection } from './connection.ts';
import type { Place } from './marks.ts';
import { countFrom, storedHeaders } from './stored.ts';
import { streamRange } from './streams.ts';

/**
 * Finds damage that a filtered reader cannot see: the server leaves out a record whose checksum is
 * wrong, but its index still counts it. Once the reader has come to where the stream ended when it
 * began, what the server still counts for it is compared with what a new reader would get; only
 * when that is less, everything is looked at.
 */
export class Census {
  readonly #connection: Connection;
  readonly #place: Place;
  readonly #subjects: readonly string[];
  readonly #from: number;
  readonly #until: number;
  #done = false;

  /** Call it when the reader's consumer was made. */
  static async open(
    connection: Connection,
    place: Place,
    from: number,
    subjects: readonly string[],
  ): Promise<Census> {
    const { last } = await streamRange(connection, place.stream);
    return new Census(connection, place, from, last, subjects);
  }

  private constructor(
    connection: Connection,
    place: Place,
    from: number,
    until: number,
    subjects: readonly string[],
  ) {
    this.#connection = connection;
    this.#place = place;
    this.#from = from;
    this.#until = until;
    this.#subjects = subjects;
  }

  /**
   * The reader has got the record at a position, after which the server counts `pending` more.
   *
   * @throws MeshError DataLoss when one before it was left out.
   */
  async passed(position: number, pending: number): Promise<void> {
    if (this.#done || (pending > 0 && position < this.#until)) return;
    this.#done = true;
    if (pending === 0) return;
    const { stream } = this.#place;
    const count = await countFrom(this.#connection, stream, position + 1, this.#subjects);
    if (pending > count) await this.scan();
  }

  /** Looks at all records of the range. @throws MeshError DataLoss. */
  async scan(): Promise<void> {
    const headers = storedHeaders(this.#connection, this.#place, this.#from, this.#until);
    for await (const _each of headers) if (!this.#connection.up) this.#connection.checkUp();
  }
}
