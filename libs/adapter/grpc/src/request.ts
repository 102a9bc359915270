import type { MeshPort, PublishItem } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import type { RequestRequest } from '@eventmesh/proto-gen/wire';
import type { CallContext } from '@eventmesh/rpc';
import { sessionOf } from './session-of.ts';

/** How long a call that says nothing waits, and any call at most, in ms. */
const WAIT_MS = 30_000;
const WAIT_MS_MAX = 300_000;
/** What is kept of a call's time to answer that nobody replied: an eighth, but at most so much, in ms. */
const ANSWER_MS_MAX = 250;

/** The unary Request call, which answers before the client gives it up. */
export async function request(port: MeshPort, given: RequestRequest, ctx: CallContext) {
  const session = await sessionOf(port, ctx);
  const timeoutMs = waitOf(given.timeoutMs, ctx.deadlineMs, Date.now());
  return { reply: await port.request(session, toItem(given), { timeoutMs, signal: ctx.signal }) };
}

/**
 * How long the reply is waited for, in ms.
 *
 * @param wantedMs By the request; 0: it does not say.
 * @param deadlineMs When the client gives the call up, if ever.
 * @throws MeshError InvalidArgument (timeout_ms); DeadlineExceeded.
 */
export function waitOf(wantedMs: bigint, deadlineMs: number | undefined, nowMs: number): number {
  if (wantedMs < 0n || wantedMs > BigInt(WAIT_MS_MAX)) {
    throw invalid('timeout_ms', `${wantedMs} is out of bounds`, {
      limit: `1 to ${WAIT_MS_MAX} ms, or 0 for the deadline of the call`,
    });
  }
  const wanted = Number(wantedMs);
  if (deadlineMs === undefined) return wanted === 0 ? WAIT_MS : wanted;
  const left = Math.floor(deadlineMs - nowMs);
  if (left < 1) throw new MeshError('DeadlineExceeded', 'the deadline has passed on the way here');
  const wait = left - Math.min(ANSWER_MS_MAX, left >> 3);
  return Math.min(wait, wanted === 0 ? WAIT_MS_MAX : wanted);
}

function toItem({ topic, event, deliveryClass }: RequestRequest): PublishItem {
  switch (deliveryClass) {
    case DeliveryClass.UNSPECIFIED:
      return { topic, event };
    case DeliveryClass.DURABLE:
      return { topic, event, deliveryClass: 'durable' };
    case DeliveryClass.DIRECT:
      return { topic, event, deliveryClass: 'direct' };
    default:
      throw invalid('delivery_class', `${String(deliveryClass)} is not known`);
  }
}
