import {
  WireReader,
  numberFieldLength,
  stringFieldLength,
  varintLength,
  writeBytesField,
  writeNumberField,
  writeStringField,
} from './protobuf.ts';

/** Each site counts those of its own policies. */
export interface Revisions {
  /** Of the catalogue and quotas; 0 when not known. */
  readonly policyRevision: number;
  /** Of the grants; 0 when not known. */
  readonly grantsRevision: number;
}

export const NO_REVISIONS: Revisions = Object.freeze({ policyRevision: 0, grantsRevision: 0 });

/** By which rules of its origin a record was admitted, and what is special about it. */
export interface Handling extends Revisions {
  /** Only this subscription of this site may have it: a redriven dead letter. Empty means any. */
  readonly onlySubscription: string;
  /** When to publish it, in ms since the epoch; 0 outside the log of timers. */
  readonly deliverAtMs: number;
  /** eventmesh.event.v1.LatePolicy, beside `deliverAtMs`. */
  readonly latePolicy: number;
}

/** Nothing special, and nothing known. */
export const NO_HANDLING: Handling = Object.freeze({
  ...NO_REVISIONS,
  onlySubscription: '',
  deliverAtMs: 0,
  latePolicy: 0,
});

/** @param field Number of the field that it is. */
export function encodeHandling(field: number, handling: Handling): Buffer {
  const { policyRevision, grantsRevision, onlySubscription, deliverAtMs, latePolicy } = handling;
  const nameLength = Buffer.byteLength(onlySubscription);
  const inner = Buffer.allocUnsafe(
    numberFieldLength(policyRevision) +
      numberFieldLength(grantsRevision) +
      stringFieldLength(nameLength) +
      numberFieldLength(deliverAtMs) +
      numberFieldLength(latePolicy),
  );
  if (inner.length === 0) return inner;
  let at = writeNumberField(inner, 0, 1, policyRevision);
  at = writeNumberField(inner, at, 2, grantsRevision);
  at = writeStringField(inner, at, 3, onlySubscription, nameLength);
  at = writeNumberField(inner, at, 4, deliverAtMs);
  writeNumberField(inner, at, 5, latePolicy);
  const out = Buffer.allocUnsafe(1 + varintLength(inner.length) + inner.length);
  writeBytesField(out, 0, field, inner);
  return out;
}

export function readHandling(outer: WireReader): Handling {
  const end = outer.span();
  const reader = new WireReader(outer.bytes, outer.at, end);
  outer.at = end;
  const handling = { ...NO_HANDLING };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) handling.policyRevision = reader.varint();
    else if (tag === 0x10) handling.grantsRevision = reader.varint();
    else if (tag === 0x1a) handling.onlySubscription = reader.string();
    else if (tag === 0x20) handling.deliverAtMs = reader.varint();
    else if (tag === 0x28) handling.latePolicy = reader.varint();
    else reader.skip(tag & 7);
  }
  return handling;
}
