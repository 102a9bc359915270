import type {
  AttachOptions,
  Attachment,
  Delivery,
  DeliverySink,
  MeshPort,
  SettleOutcome,
} from '@eventmesh/adapter-api';
import type { MeshError } from '@eventmesh/errors';
import { invalid } from '@eventmesh/errors';
import {
  Settle_Outcome,
  type Open,
  type Settle,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import { AsyncQueue, toFailure, type CallContext } from '@eventmesh/rpc';
import { fromSubscription, toSubscriptionInput } from './subscription-wire.ts';

type Out = AsyncQueue<{ message: { case: string; value: object } }>;

/** The consuming stream: `open` first, then credit and settles in, deliveries out. */
export async function* subscribe(
  port: MeshPort,
  requests: AsyncIterable<SubscribeRequest>,
  ctx: CallContext,
) {
  const session = await port.authenticate(ctx.metadata.get('authorization'));
  const inputs = requests[Symbol.asyncIterator]();
  const first = await inputs.next();
  if (first.done === true || first.value.message.case !== 'open') {
    throw invalid('open', 'must be the first message of the stream');
  }
  const out: Out = new AsyncQueue();
  const open = first.value.message.value;
  const attachment = await port.attach(session, attachOptions(open), sink(out));
  out.push(opened(attachment));
  if (open.credit !== undefined) {
    attachment.credit(open.credit.events, Number(open.credit.bytes));
  }
  const leave = () => out.end();
  ctx.signal.addEventListener('abort', leave, { once: true });
  const taking = takeInputs(inputs, attachment, out);
  taking.then(leave, (error: unknown) => out.end(error));
  try {
    for await (const message of out) yield message as never;
  } finally {
    ctx.signal.removeEventListener('abort', leave);
    await attachment.detach();
  }
}

async function takeInputs(
  inputs: AsyncIterator<SubscribeRequest>,
  attachment: Attachment,
  out: Out,
): Promise<void> {
  for (;;) {
    const next = await inputs.next();
    if (next.done === true) return;
    const { message } = next.value;
    if (message.case === 'credit') {
      attachment.credit(message.value.events, Number(message.value.bytes));
    } else if (message.case === 'settle') {
      settle(attachment, message.value, out);
    } else {
      throw invalid('message', 'after open come only credit and settle');
    }
  }
}

function settle(attachment: Attachment, request: Settle, out: Out): void {
  const refused = attachment.settle(
    request.ids.map(Number),
    toOutcome(request),
    request.cumulative,
  );
  if (refused.length > 0) {
    const reason = 'settled before, its lease ran out, or from an older owner';
    out.push({
      message: { case: 'settleRefused', value: { ids: refused.map(BigInt), reason } },
    });
  }
}

function toOutcome(request: Settle): SettleOutcome {
  switch (request.outcome) {
    case Settle_Outcome.ACCEPT:
      return { kind: 'accept' };
    case Settle_Outcome.RELEASE:
      return { kind: 'release', delayMs: Number(request.delayMs) };
    case Settle_Outcome.REJECT:
      return { kind: 'reject', reason: request.reason };
    case Settle_Outcome.RENEW:
      return { kind: 'renew' };
    default:
      throw invalid('outcome', `${request.outcome} is not an outcome`);
  }
}

function attachOptions(open: Open): AttachOptions {
  const { subscription } = open;
  if (subscription.case === undefined) {
    throw invalid('open', 'needs the name of a subscription or a spec');
  }
  return {
    subscription:
      subscription.case === 'name' ? subscription.value : toSubscriptionInput(subscription.value),
    ...(open.consumer === '' ? {} : { consumer: open.consumer }),
    convergeMs: Number(open.convergeMs),
  };
}

function opened(attachment: Attachment) {
  return {
    message: {
      case: 'opened',
      value: {
        subscription: fromSubscription(attachment.subscription),
        consumer: attachment.consumer,
        convergedSites: [...attachment.convergedSites],
        unreachableSites: [...attachment.unreachableSites],
      },
    },
  };
}

function sink(out: Out): DeliverySink {
  return {
    deliver: (deliveries) =>
      out.push({
        message: { case: 'deliveries', value: { deliveries: deliveries.map(toDelivery) } },
      }),
    gap: ({ partition, from, to }) =>
      out.push({
        message: {
          case: 'gap',
          value: {
            partition,
            fromPosition: BigInt(from),
            toPosition: BigInt(to),
            reason: 'no longer in the store',
          },
        },
      }),
    ended(reason: MeshError) {
      out.push({ message: { case: 'ended', value: { reason: toFailure(reason) } } });
      out.end();
    },
  };
}

function toDelivery(delivery: Delivery) {
  return {
    id: BigInt(delivery.id),
    attempt: delivery.attempt,
    topic: delivery.topic,
    event: delivery.event,
    partition: delivery.partition,
    position: BigInt(delivery.position),
    originSite: delivery.originSite,
    ingressTimeUs: BigInt(delivery.ingressTimeUs),
  };
}
