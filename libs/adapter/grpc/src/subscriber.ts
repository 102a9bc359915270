import {
  drainingError,
  rejection,
  type AttachOptions,
  type Attachment,
  type MeshPort,
  type SettleOutcome,
} from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';
import {
  Settle_Outcome,
  type Credit,
  type Open,
  type SubscribeRequest,
} from '@eventmesh/proto-gen/subscriber';
import type { CallContext } from '@eventmesh/rpc';
import { ConsumerQueue } from './consumer-queue.ts';
import type { SettleInput, SettleRequest } from './decode-settle.ts';
import type { ConsumerLimits } from './options.ts';
import { toReplayOptions } from './replay-wire.ts';
import { sessionOf } from './session-of.ts';
import { fromSubscription, toSubscriptionInput } from './subscription-wire.ts';

/** The consuming stream: `open` first, then credit and settles in, deliveries out. */
export async function* subscribe(
  port: MeshPort,
  requests: AsyncIterable<SubscribeRequest | SettleRequest>,
  ctx: CallContext,
  limits: ConsumerLimits,
) {
  const session = await sessionOf(port, ctx);
  const inputs = requests[Symbol.asyncIterator]();
  const first = await inputs.next();
  if (first.done === true || first.value.message.case !== 'open') {
    throw invalid('open', 'must be the first message of the stream');
  }
  const queue = new ConsumerQueue(limits);
  const open = first.value.message.value;
  const attachment = await port.attach(session, attachOptions(open), queue);
  queue.open(attachment, opened(attachment));
  if (open.credit !== undefined) queue.credit(open.credit.events, Number(open.credit.bytes));
  const leave = () => queue.end();
  const drain = () => queue.ended(drainingError());
  ctx.signal.addEventListener('abort', leave, { once: true });
  ctx.draining.addEventListener('abort', drain, { once: true });
  takeInputs(inputs, queue).then(leave, (error: unknown) => queue.end(error));
  try {
    yield* queue.messages();
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
    | SettleRequest['message']
    | { readonly case: undefined };
}

/** Hands on credit and settles until the consumer closes its side. */
export async function takeInputs(
  inputs: AsyncIterator<ConsumerInput>,
  queue: Pick<ConsumerQueue, 'credit' | 'drain' | 'settle' | 'refused'>,
): Promise<void> {
  for (;;) {
    const next = await inputs.next();
    if (next.done === true) return;
    const { message } = next.value;
    if (message.case === 'credit') {
      queue.credit(message.value.events, Number(message.value.bytes));
      if (message.value.drain) queue.drain();
    } else if (message.case === 'settle') {
      settle(queue, message.value);
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

function settle(queue: Pick<ConsumerQueue, 'settle' | 'refused'>, request: SettleInput): void {
  const { length } = request.ids;
  if (length < 1 || length > SETTLE_IDS_MAX) {
    throw invalid('ids', `there are ${length}`, { limit: `1 to ${SETTLE_IDS_MAX} ids` });
  }
  const outcome = toOutcome(request);
  const ids: number[] = [];
  const unknown: bigint[] = [];
  for (const id of request.ids) {
    const known = Number(id);
    if (Number.isSafeInteger(known)) ids.push(known);
    else unknown.push(BigInt(id));
  }
  if (ids.length > 0) queue.settle(ids, outcome, request.cumulative);
  // No delivery ever has such an id: unknown like any other, and told as it came.
  if (unknown.length > 0) queue.refused(unknown);
}

function toOutcome(request: SettleInput): SettleOutcome {
  switch (request.outcome) {
    case Settle_Outcome.ACCEPT:
      return { kind: 'accept' };
    case Settle_Outcome.RELEASE:
      return {
        kind: 'release',
        delayMs: milliseconds('delay_ms', request.delayMs, RELEASE_DELAY_MS_MAX),
      };
    case Settle_Outcome.REJECT:
      return rejection(request.reason);
    case Settle_Outcome.RENEW:
      return { kind: 'renew' };
    case Settle_Outcome.RETURN:
      return { kind: 'return' };
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

const opened = (attachment: Attachment) => ({
  subscription: fromSubscription(attachment.subscription),
  consumer: attachment.consumer,
  convergedSites: [...attachment.convergedSites],
  unreachableSites: [...attachment.unreachableSites],
  replayId: attachment.replayId ?? '',
});
