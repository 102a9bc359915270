import type { Revisions } from './handling.ts';
import {
  WireReader,
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
} from './protobuf.ts';

/**
 * A site that the event has reached, when it was stored there, and the revisions that were in force
 * there; 0 of the origin, whose are in the `Handling`.
 */
export interface Hop extends Revisions {
  readonly site: string;
  /** Microseconds since the Unix epoch, by that site's clock. */
  readonly timeUs: number;
}

/** @param field Number of the field that each of them is. */
export function encodeHops(field: number, hops: readonly Hop[]): Buffer {
  return Buffer.concat(
    hops.map(({ site, timeUs, policyRevision, grantsRevision }) => {
      const siteLength = Buffer.byteLength(site);
      const length =
        stringFieldLength(siteLength) +
        numberFieldLength(timeUs) +
        numberFieldLength(policyRevision) +
        numberFieldLength(grantsRevision);
      const inner = Buffer.allocUnsafe(length);
      let at = writeStringField(inner, 0, 1, site, siteLength);
      at = writeNumberField(inner, at, 2, timeUs);
      at = writeNumberField(inner, at, 3, policyRevision);
      writeNumberField(inner, at, 4, grantsRevision);
      const out = Buffer.allocUnsafe(1 + varintLength(length) + length);
      writeBytesField(out, 0, field, inner);
      return out;
    }),
  );
}

export function readHop(outer: WireReader): Hop {
  const end = outer.span();
  const reader = new WireReader(outer.bytes, outer.at, end);
  outer.at = end;
  let site = '';
  let timeUs = 0;
  let policyRevision = 0;
  let grantsRevision = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) site = reader.text();
    else if (tag === 0x10) timeUs = reader.varint();
    else if (tag === 0x18) policyRevision = reader.varint();
    else if (tag === 0x20) grantsRevision = reader.varint();
    else reader.skip(tag & 7);
  }
  return { site, timeUs, policyRevision, grantsRevision };
}
