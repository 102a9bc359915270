import type {
  AttachOptions,
  Attachment,
  DeliverySink,
  MeshPort,
  SettleOutcome,
} from '@eventmesh/adapter-api';
import type { MeshError } from '@eventmesh/errors';
import { invalid } from '@eventmesh/errors';
import {
  Settle_Outcome,
  type Credit,
  type Open,
  type Settle,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import { AsyncQueue, toFailure, type CallContext, type PreEncoded } from '@eventmesh/rpc';
import { drainingError } from './draining.ts';
import { encodeDeliveries } from './encode-deliveries.ts';
import { gapToProto, toReplayOptions } from './replay-wire.ts';
import { fromSubscription, toSubscriptionInput } from './subscription-wire.ts';

/** What goes out on a consuming stream. */
export type ConsumerOut = AsyncQueue<PreEncoded | { message: { case: string; value: object } }>;

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
  const out: ConsumerOut = new AsyncQueue();
  const open = first.value.message.value;
  const toConsumer = consumerSink(out);
  const attachment = await port.attach(session, attachOptions(open), toConsumer);
  out.push(opened(attachment));
  if (open.credit !== undefined) {
    attachment.credit(open.credit.events, Number(open.credit.bytes));
  }
  const leave = () => out.end();
  const drain = () => toConsumer.ended(drainingError());
  ctx.signal.addEventListener('abort', leave, { once: true });
  ctx.draining.addEventListener('abort', drain, { once: true });
  const taking = takeInputs(inputs, attachment, out);
  taking.then(leave, (error: unknown) => out.end(error));
  try {
    for await (const message of out) yield message as never;
  } finally {
    ctx.signal.removeEventListener('abort', leave);
    ctx.draining.removeEventListener('abort', drain);
    await attachment.detach();
  }
}

/** What a consumer says; `open` comes first and once. */
interface ConsumerInput {
  readonly message:
    | { readonly case: 'open'; readonly value: object }
    | { readonly case: 'credit'; readonly value: Credit }
    | { readonly case: 'settle'; readonly value: Settle }
    | { readonly case: undefined };
}

/** Hands credit and settles to an attachment until the consumer closes its side. */
export async function takeInputs(
  inputs: AsyncIterator<ConsumerInput>,
  attachment: Pick<Attachment, 'credit' | 'settle'>,
  out: ConsumerOut,
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

/** Most ids of one settle; no subscription has more in flight. */
const SETTLE_IDS_MAX = 65_536;
/** Longest wait for convergence, and longest delay of a release, in ms. */
const CONVERGE_MS_MAX = 60_000;
const RELEASE_DELAY_MS_MAX = 43_200_000;

/** @throws MeshError InvalidArgument that names field and limit, also for what no number can hold. */
function milliseconds(field: string, value: bigint, max: number): number {
  if (value < 0n || value > BigInt(max)) {
    throw invalid(field, `${value} is out of bounds`, { limit: `0 to ${max}` });
  }
  return Number(value);
}

function settle(attachment: Pick<Attachment, 'settle'>, request: Settle, out: ConsumerOut): void {
  const { length } = request.ids;
  if (length < 1 || length > SETTLE_IDS_MAX) {
    throw invalid('ids', `there are ${length}`, { limit: `1 to ${SETTLE_IDS_MAX} ids` });
  }
  const refused = attachment.settle(
    request.ids.map(Number),
    toOutcome(request),
    request.cumulative,
  );
  if (refused.length > 0) out.push(settleRefused(refused));
}

const settleRefused = (ids: readonly number[]) => ({
  message: {
    case: 'settleRefused',
    value: {
      ids: ids.map(BigInt),
      reason: 'settled before, its lease ran out, or from an older owner',
    },
  },
});

function toOutcome(request: Settle): SettleOutcome {
  switch (request.outcome) {
    case Settle_Outcome.ACCEPT:
      return { kind: 'accept' };
    case Settle_Outcome.RELEASE:
      return {
        kind: 'release',
        delayMs: milliseconds('delay_ms', request.delayMs, RELEASE_DELAY_MS_MAX),
      };
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
    convergeMs: milliseconds('converge_ms', open.convergeMs, CONVERGE_MS_MAX),
    ...(open.replay === undefined ? {} : { replay: toReplayOptions(open.replay) }),
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
        replayId: attachment.replayId ?? '',
      },
    },
  };
}

/** A replay lane that is through: the status of gRPC's OK. */
const COMPLETE = Object.freeze({ status: 0, reason: 'COMPLETE', message: 'the replay is through' });

/** Turns what a consumer is told into the messages of its stream. */
export function consumerSink(out: ConsumerOut): DeliverySink {
  return {
    deliver: (deliveries) => out.push(encodeDeliveries(deliveries)),
    gap: (gap) => out.push({ message: { case: 'gap', value: gapToProto(gap) } }),
    refused: (ids) => out.push(settleRefused(ids)),
    ended(reason: MeshError | undefined) {
      const why = reason === undefined ? COMPLETE : toFailure(reason);
      out.push({ message: { case: 'ended', value: { reason: why } } });
      out.end();
    },
  };
}
