import { isUtf8 } from 'node:buffer';
import { invalid } from '@eventmesh/errors';
import { knownText } from './texts.ts';

/**
 * The little of the protobuf wire format that the hot path needs. Numbers are JavaScript numbers:
 * positions and times stay below 2^53, larger varints are refused.
 */

/** Reads fields one after the other from a buffer; never copies. */
export class WireReader {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /**
   * Reads a field's tag: number and wire type in one. Field numbers are 1 to 2^29-1, so a tag never
   * needs more than 32 bits.
   */
  tag(): number {
    const tag = this.varint();
    if (tag < 8 || tag > 0xffff_ffff) throw invalid('protobuf', `${tag} is not a field's tag`);
    return tag;
  }

  varint(): number {
    const { bytes } = this;
    let byte = bytes[this.at++] ?? this.#overrun();
    if (byte < 0x80) {
      if (this.at > this.end) this.#overrun();
      return byte;
    }
    let value = byte & 0x7f;
    let scale = 128;
    for (let i = 1; i < 10; i++) {
      byte = bytes[this.at++] ?? this.#overrun();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (this.at > this.end) this.#overrun();
        if (value > Number.MAX_SAFE_INTEGER) {
          throw invalid('protobuf', 'a number is out of bounds', { limit: '0 to 2^53-1' });
        }
        return value;
      }
      scale *= 128;
    }
    throw invalid('protobuf', 'a varint is longer than 10 bytes');
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      if ((this.bytes[this.at++] ?? this.#overrun()) < 0x80) return;
    }
    throw invalid('protobuf', 'a varint is longer than 10 bytes');
  }

  /** Reads a length and returns the end of that span, checked against this reader's end. */
  span(): number {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.end) this.#overrun();
    return end;
  }

  /** Reads a string, which protobuf wants to be UTF-8. */
  string(): string {
    const end = this.span();
    const text = this.bytes.utf8Slice(this.at, end);
    // Only a string that shows a replacement character can have had a broken sequence.
    if (text.includes('\ufffd') && !isUtf8(this.bytes.subarray(this.at, end))) {
      throw invalid('protobuf', 'a string is not valid UTF-8');
    }
    this.at = end;
    return text;
  }

  /** As `string`, for texts that come again and again: each is made a string once. */
  text(): string {
    const { at, bytes } = this;
    const end = this.span();
    const known = knownText(bytes, this.at, end);
    if (known === undefined) {
      this.at = at;
      return this.string();
    }
    this.at = end;
    return known;
  }

  /** A view of a length-delimited field; shares memory with the input. */
  view(): Buffer {
    const end = this.span();
    const view = this.bytes.subarray(this.at, end);
    this.at = end;
    return view;
  }

  skip(wireType: number): void {
    if (wireType === 0) this.#skipVarint();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 2) this.at = this.span();
    else if (wireType === 5) this.at += 4;
    else throw invalid('protobuf', `wire type ${wireType} is not supported`);
    if (this.at > this.end) this.#overrun();
  }

  /**
   * Skips a field of a message whose fields are numbered 1 to `known`. One of those under another
   * wire type is refused: some decoders skip it and others misread it, so that consumers would not
   * see the same event.
   */
  skipUnknown(tag: number, known: number): void {
    if (tag >>> 3 <= known) {
      throw invalid('protobuf', `field ${tag >>> 3} has the wrong wire type ${tag & 7}`);
    }
    this.skip(tag & 7);
  }

  #overrun(): never {
    throw invalid('protobuf', 'the message is truncated');
  }
}

/** A Buffer over the same memory, for its fast string calls. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  return 4 + varintLength(Math.floor(value / 0x1000_0000));
}

/** Writes a varint and returns the next offset. */
export function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  // Four bytes at once are a small integer, which is quicker to take apart than a large one.
  while (rest >= 0x1000_0000) {
    const low = rest % 0x1000_0000;
    out[at++] = (low & 0x7f) | 0x80;
    out[at++] = ((low >>> 7) & 0x7f) | 0x80;
    out[at++] = ((low >>> 14) & 0x7f) | 0x80;
    out[at++] = (low >>> 21) | 0x80;
    rest = Math.floor(rest / 0x1000_0000);
  }
  for (let low = rest | 0; ; low >>>= 7) {
    if (low < 0x80) {
      out[at++] = low;
      return at;
    }
    out[at++] = (low & 0x7f) | 0x80;
  }
}

/** Bytes of a string field with a one-byte tag, or 0 when it is empty and so left out. */
export function stringFieldLength(utf8Length: number): number {
  return utf8Length === 0 ? 0 : 1 + varintLength(utf8Length) + utf8Length;
}

/** Writes a string field with a one-byte tag unless empty, and returns the next offset. */
export function writeStringField(
  out: Buffer,
  at: number,
  field: number,
  text: string,
  utf8Length: number,
): number {
  if (utf8Length === 0) return at;
  out[at++] = (field << 3) | 2;
  at = writeVarint(out, at, utf8Length);
  return at + out.utf8Write(text, at, utf8Length);
}

/** Writes a length-delimited field with a one-byte tag and returns the next offset. */
export function writeBytesField(out: Buffer, at: number, field: number, bytes: Uint8Array): number {
  out[at++] = (field << 3) | 2;
  at = writeVarint(out, at, bytes.length);
  out.set(bytes, at);
  return at + bytes.length;
}

/** Writes a varint field with a one-byte tag unless zero, and returns the next offset. */
export function writeNumberField(out: Buffer, at: number, field: number, value: number): number {
  if (value === 0) return at;
  out[at++] = field << 3;
  return writeVarint(out, at, value);
}

export function numberFieldLength(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value);
}
