import { randomBytes } from 'node:crypto';
import { encodeEvent } from '@eventmesh/event';

export const DATA_BYTES = 1024;
const ID_DIGITS = 12;
const TOPICS = 16;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Events of 1 KiB with ids of their own, encoded once: each one is a copy of the last with the
 * digits of its id counted up, so that making events costs the generator next to nothing.
 */
export class EventSource {
  readonly #template: Buffer;
  readonly #idEnd: number;
  #made = 0;

  constructor() {
    const id = `${randomBytes(8).toString('hex')}-${'0'.repeat(ID_DIGITS)}`;
    this.#template = encodeEvent({
      id,
      source: '/bench/generator',
      type: 'com.example.bench',
      attributes: [['datacontenttype', { kind: 'string', value: 'application/octet-stream' }]],
      data: { kind: 'binary', bytes: randomBytes(DATA_BYTES) },
    });
    // The id is the first field: a tag and a length of one byte each.
    this.#idEnd = 2 + id.length;
  }

  /** The encoded event; the receiver's to keep. */
  next(): Buffer {
    let at = this.#idEnd - 1;
    while (this.#template[at] === NINE) this.#template[at--] = ZERO;
    this.#template[at] = (this.#template[at] ?? ZERO) + 1;
    this.#made++;
    return Buffer.from(this.#template);
  }

  /** Topic of the event made last; they go round. */
  get topic(): string {
    return TOPIC_NAMES[this.#made % TOPICS] ?? '';
  }
}

const TOPIC_NAMES = Array.from({ length: TOPICS }, (_, index) => `bench/${index}`);
export const ALL_TOPICS = 'bench/#';
