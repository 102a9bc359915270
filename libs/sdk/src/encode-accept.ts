import { varintLength, writeVarint } from '@eventmesh/event';
import { Settle_Outcome } from '@eventmesh/proto-gen/subscriber';
import { PreEncoded } from '@eventmesh/rpc';

/** Field 3 of SubscribeRequest, length-delimited. */
const SETTLE = 0x1a;
/** Field 1 of Settle, packed. */
const IDS = 0x0a;
/** Field 2 of Settle. */
const OUTCOME = 0x10;

/**
 * Encodes what a consumer says most, that it accepts deliveries (eventmesh.subscriber.v1.SubscribeRequest):
 *
 *   Settle settle = 3 { repeated int64 ids = 1, Outcome outcome = 2 }
 *
 * @returns undefined when an id is beyond what a number can hold, as no delivery's is: the general
 *   encoder takes any.
 */
export function encodeAccept(given: readonly bigint[]): PreEncoded | undefined {
  const ids: number[] = [];
  let packed = 0;
  for (const bigId of given) {
    const id = Number(bigId);
    if (!Number.isSafeInteger(id) || id < 0) return undefined;
    ids.push(id);
    packed += varintLength(id);
  }
  const settle = 1 + varintLength(packed) + packed + 2;
  const message = new PreEncoded(1 + varintLength(settle) + settle);
  const out = message.bytes;
  out[0] = SETTLE;
  let at = writeVarint(out, 1, settle);
  out[at++] = IDS;
  at = writeVarint(out, at, packed);
  for (const id of ids) at = writeVarint(out, at, id);
  out[at] = OUTCOME;
  out[at + 1] = Settle_Outcome.ACCEPT;
  return message;
}
