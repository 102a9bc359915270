import { WireReader } from '@eventmesh/event';
import type { Settle } from '@eventmesh/proto-gen/subscriber';

/** A settle as it came; ids that are no safe integers are bigints. */
export interface SettleInput extends Pick<Settle, 'delayMs' | 'reason' | 'cumulative'> {
  readonly ids: readonly (number | bigint)[];
  /** Settle_Outcome, or whatever came in its place. */
  readonly outcome: number;
}

/** A message of a consumer that settles. */
export interface SettleRequest {
  readonly message: { readonly case: 'settle'; readonly value: SettleInput };
}

/** Field 3 of SubscribeRequest, length-delimited. */
const SETTLE = 0x1a;
/** Field 1 of Settle, packed. */
const IDS = 0x0a;
/** Field 2 of Settle. */
const OUTCOME = 0x10;

/**
 * Reads the message that comes with every few events, ids and an outcome
 * (eventmesh.subscriber.v1.SubscribeRequest), without a bigint for each id:
 *
 *   Settle settle = 3 { repeated int64 ids = 1, Outcome outcome = 2 }
 *
 * @returns undefined for all else, the malformed too: the general decoder knows more.
 */
export function decodeSettle(bytes: Buffer): SettleRequest | undefined {
  if (bytes[0] !== SETTLE) return undefined;
  try {
    const reader = new WireReader(bytes, 1);
    // Anything behind it: the last of a oneof wins.
    return reader.span() === bytes.length ? readSettle(reader) : undefined;
  } catch {
    // Not well-formed, or with an id that no number can hold.
    return undefined;
  }
}

function readSettle(reader: WireReader): SettleRequest | undefined {
  const ids: number[] = [];
  let outcome = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === OUTCOME) outcome = reader.varint();
    else if (tag === IDS) {
      const end = reader.span();
      while (reader.at < end) ids.push(reader.varint());
      if (reader.at > end) return undefined;
    } else return undefined;
  }
  if (outcome > 0x7f) return undefined;
  const value = { ids, outcome, delayMs: 0n, reason: '', cumulative: false };
  return { message: { case: 'settle', value } };
}
