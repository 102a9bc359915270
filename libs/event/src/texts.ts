/** Longer ones seldom come again. */
const BYTES_MAX = 64;
/** A power of two. */
const SLOTS = 1024;

/**
 * Short texts that come again and again, such as topics, sources, types and names of attributes: each
 * is made a string once, and the string found again by its bytes. A text takes the place of another
 * one whose hash is the same, so that strangers can fill the table but not make it grow.
 */
const texts = new Array<string>(SLOTS).fill('');

/** The ASCII text of these bytes; undefined when it is not ASCII, or too long to be worth keeping. */
export function knownText(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start;
  if (length === 0) return '';
  if (length > BYTES_MAX) return undefined;
  let hash = length;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte > 0x7f) return undefined;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const known = texts[slot] as string;
  if (isText(known, bytes, start, length)) return known;
  return (texts[slot] = bytes.latin1Slice(start, end));
}

function isText(text: string, bytes: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}
