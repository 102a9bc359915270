import type { MeshPort, PublishItem } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import type { RequestRequest } from '@eventmesh/proto-gen/wire';
import type { CallContext } from '@eventmesh/rpc';
import { sessionOf } from './session-of.ts';

/** How long a call without a deadline waits, and any call at most, in ms. */
const WAIT_MS = 30_000;
const WAIT_MS_MAX = 300_000;

/** The unary Request call: its deadline is how long the reply is waited for. */
export async function request(port: MeshPort, given: RequestRequest, ctx: CallContext) {
  const session = await sessionOf(port, ctx);
  const left = ctx.deadlineMs === undefined ? WAIT_MS : Math.floor(ctx.deadlineMs - Date.now());
  if (left < 1) throw new MeshError('DeadlineExceeded', 'the deadline has passed on the way here');
  const timeoutMs = Math.min(left, WAIT_MS_MAX);
  return { reply: await port.request(session, toItem(given), { timeoutMs, signal: ctx.signal }) };
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
