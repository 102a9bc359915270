import { expect } from '@jest/globals';

/** A command of the NATS client protocol. */
export interface Command {
  /** Its line, with one space between two fields and without the two sizes. */
  readonly line: string;
  /** Header lines with the first and the empty one. */
  readonly headers: string;
  readonly payload: Buffer;
}

/** What a NATS server reads of a frame. */
export function commands(bytes: Buffer): Command[] {
  const found: Command[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\r\n', at);
    const fields = bytes.toString('utf8', at, end).split(/ +/);
    const [headerBytes = 0, total = 0] = fields.splice(-2).map(Number);
    const from = end + 2;
    const headers = bytes.toString('latin1', from, from + headerBytes);
    const payload = bytes.subarray(from + headerBytes, from + total);
    expect(bytes.toString('latin1', from + total, from + total + 2)).toBe('\r\n');
    found.push({ line: fields.join(' '), headers, payload });
    at = from + total + 2;
  }
  return found;
}
