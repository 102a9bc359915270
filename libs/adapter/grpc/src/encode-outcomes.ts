import { create, toBinary } from '@bufbuild/protobuf';
import type { Receipt } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { numberFieldLength, varintLength, writeNumberField, writeVarint } from '@eventmesh/event';
import { ReceiptSchema } from '@eventmesh/proto-gen/event';
import { PublishOutcomeSchema } from '@eventmesh/proto-gen/publisher';
import { PreEncoded, toFailure } from '@eventmesh/rpc';
import { durabilityToWire } from './durability.ts';

/**
 * Encodes a frame of outcomes (eventmesh.publisher.v1.PublishStreamResponse):
 *
 *   repeated PublishOutcome outcomes = 1 { Receipt receipt = 1 { site = 1, partition = 2,
 *     position = 3, duplicate = 4, durability = 5, no_interest = 6, destinations = 7,
 *     deliver_at_ms = 8 } }
 *   uint32 window_events = 2
 *
 * Receipts of one frame mostly differ in their position only, so the rest is encoded once and
 * copied, and no message object is made for each.
 */
export function encodeOutcomes(
  outcomes: readonly (Receipt | MeshError)[],
  windowEvents: number,
): PreEncoded {
  const parts: Part[] = [];
  let size = numberFieldLength(windowEvents);
  let last: { readonly receipt: Receipt; readonly shared: Buffer } | undefined;
  for (const outcome of outcomes) {
    if (outcome instanceof MeshError) {
      const value = toFailure(outcome);
      const message = create(PublishOutcomeSchema, { outcome: { case: 'failure', value } });
      const bytes = toBinary(PublishOutcomeSchema, message);
      parts.push({ bytes, receipt: undefined, inner: 0 });
      size += 1 + varintLength(bytes.length) + bytes.length;
      continue;
    }
    if (last === undefined || !alike(last.receipt, outcome)) {
      last = { receipt: outcome, shared: encodeShared(outcome) };
    }
    const inner = last.shared.length + ownLength(outcome);
    parts.push({ bytes: last.shared, receipt: outcome, inner });
    const outer = 1 + varintLength(inner) + inner;
    size += 1 + varintLength(outer) + outer;
  }
  const message = new PreEncoded(size);
  const out = message.bytes;
  let at = 0;
  for (const part of parts) at = writePart(out, at, part);
  writeNumberField(out, at, 2, windowEvents);
  return message;
}

interface Part {
  /** A whole outcome, or the shared fields of a receipt. */
  readonly bytes: Uint8Array;
  readonly receipt: Receipt | undefined;
  /** Length of the receipt message. */
  readonly inner: number;
}

/** Tag of field 1, length-delimited: the outcome in the frame, and the receipt in the outcome. */
const FIELD_1 = 0x0a;

function writePart(out: Buffer, start: number, { bytes, receipt, inner }: Part): number {
  let at = start;
  out[at++] = FIELD_1;
  if (receipt === undefined) {
    at = writeVarint(out, at, bytes.length);
    out.set(bytes, at);
    return at + bytes.length;
  }
  at = writeVarint(out, at, 1 + varintLength(inner) + inner);
  out[at++] = FIELD_1;
  at = writeVarint(out, at, inner);
  out.set(bytes, at);
  at += bytes.length;
  at = writeNumberField(out, at, 2, receipt.partition);
  at = writeNumberField(out, at, 3, receipt.position);
  at = writeNumberField(out, at, 4, receipt.duplicate ? 1 : 0);
  return writeNumberField(out, at, 8, receipt.deliverAtMs ?? 0);
}

const ownLength = ({ partition, position, duplicate, deliverAtMs = 0 }: Receipt): number =>
  numberFieldLength(partition) +
  numberFieldLength(position) +
  (duplicate ? 2 : 0) +
  numberFieldLength(deliverAtMs);

const alike = (a: Receipt, b: Receipt): boolean =>
  a.destinations === b.destinations &&
  a.noInterest === b.noInterest &&
  a.durability === b.durability &&
  a.site === b.site;

function encodeShared({ site, durability, noInterest, destinations }: Receipt): Buffer {
  const receipt = create(ReceiptSchema, {
    site,
    durability: durabilityToWire(durability),
    noInterest,
    destinations: [...destinations],
  });
  return Buffer.from(toBinary(ReceiptSchema, receipt));
}
