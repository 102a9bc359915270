import type { Span } from '@eventmesh/event';

/*
 * What goes into the lines of a message, written byte by byte in place: no string is made of what
 * only passes through. Each writes at an offset and returns the next one; whoever calls has room.
 */

const PERCENT = 0x25;
const SLASH = 0x2f;
const DOT = 0x2e;
const HEX = Buffer.from('0123456789ABCDEF');
const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;

/** Which bytes stay as they are, by byte: 1 for those. */
const table = (keeps: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (keeps(byte) ? 1 : 0));

/** CloudEvents NATS binding, header values: all but printable ASCII, and space, `"` and `%`. */
const IN_VALUE = table((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== PERCENT);

/** What a token of a subject cannot hold, `/` between tokens and the sign of the encoding itself. */
const IN_SUBJECT = table(
  (byte) => byte > 0x20 && byte !== 0x7f && !'%.*>/'.includes(String.fromCharCode(byte)),
);

function writeEscaped(out: Buffer, at: number, byte: number): number {
  out[at] = PERCENT;
  out[at + 1] = HEX[byte >>> 4] as number;
  out[at + 2] = HEX[byte & 15] as number;
  return at + 3;
}

/** The value of a header: percent-encoded where it has to be. */
export function writeValue(out: Buffer, at: number, bytes: Buffer, { start, end }: Span): number {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (IN_VALUE[byte] === 1) out[at++] = byte;
    else at = writeEscaped(out, at, byte);
  }
  return at;
}

/** The tokens of a topic; `subjects.ts` says how it becomes a subject. */
export function writeSubject(out: Buffer, at: number, bytes: Buffer, { start, end }: Span): number {
  let level = at;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (IN_SUBJECT[byte] === 1) out[at++] = byte;
    else if (byte !== SLASH) at = writeEscaped(out, at, byte);
    else {
      if (at === level) out[at++] = PERCENT;
      out[at++] = DOT;
      level = at;
    }
  }
  if (at === level) out[at++] = PERCENT;
  return at;
}

export function writeBase64(out: Buffer, at: number, bytes: Buffer, end: number): number {
  let i = 0;
  for (; i + 2 < end; i += 3) {
    const three =
      ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    out[at] = BASE64[three >>> 18] as number;
    out[at + 1] = BASE64[(three >>> 12) & 63] as number;
    out[at + 2] = BASE64[(three >>> 6) & 63] as number;
    out[at + 3] = BASE64[three & 63] as number;
    at += 4;
  }
  if (i === end) return at;
  const first = bytes[i] as number;
  const second = i + 1 < end ? (bytes[i + 1] as number) : 0;
  out[at++] = BASE64[first >>> 2] as number;
  out[at++] = BASE64[((first & 3) << 4) | (second >>> 4)] as number;
  out[at++] = i + 1 < end ? (BASE64[(second & 15) << 2] as number) : PADDING;
  out[at++] = PADDING;
  return at;
}

/** A number, in decimal. */
export function writeDecimal(out: Buffer, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end++;
  let rest = value;
  for (let i = end - 1; i >= at; i--) {
    out[i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return end;
}

/** A number in a field of this width, with spaces before it. */
export function writePadded(out: Buffer, at: number, value: number, width: number): void {
  let rest = value;
  let i = at + width - 1;
  do {
    out[i--] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  } while (rest > 0 && i >= at);
  while (i >= at) out[i--] = 0x20;
}

export function writeAll(out: Buffer, at: number, bytes: Uint8Array): number {
  out.set(bytes, at);
  return at + bytes.length;
}
