import { consumerSink, drainingError, takeInputs, type ConsumerOut } from '@eventmesh/adapter-grpc';
import type { DeliverySink } from '@eventmesh/adapter-api';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import type { Principal } from '@eventmesh/proto-gen/acl';
import type { AttachRequest, Open } from '@eventmesh/proto-gen/peer';
import { AsyncQueue, type CallContext } from '@eventmesh/rpc';
import type { Directory } from '../control/directory.ts';
import type { Hold } from '../deliver/hold.ts';
import { checkGrants, type CallerSession } from '../session.ts';

export interface AttachServiceDeps {
  readonly directory: Directory;
  readonly sessionOf: (principal: Principal) => Promise<CallerSession>;
  /** A place here and nowhere else. */
  readonly attachHere: (
    subscription: Subscription,
    session: CallerSession,
    consumer: string,
    sink: DeliverySink,
  ) => Promise<Hold>;
}

/** What was made at the calling emesher a moment ago may not have arrived here, in ms. */
const KNOWN_MS_MAX = 2000;

/** Serves a consumer of another emesher: the same stream as a client's, opened by a peer. */
export async function* serveAttach(
  deps: AttachServiceDeps,
  requests: AsyncIterable<AttachRequest>,
  ctx: CallContext,
) {
  const inputs = requests[Symbol.asyncIterator]();
  const first = await inputs.next();
  if (first.done === true || first.value.message.case !== 'open') {
    throw invalid('open', 'must be the first message of the stream');
  }
  const out: ConsumerOut = new AsyncQueue();
  const toConsumer = consumerSink(out);
  const hold = await attach(deps, first.value.message.value, toConsumer);
  out.push({ message: { case: 'opened', value: {} } });
  const leave = () => out.end();
  const drain = () => toConsumer.ended(drainingError());
  ctx.signal.addEventListener('abort', leave, { once: true });
  ctx.draining.addEventListener('abort', drain, { once: true });
  takeInputs(
    inputs,
    {
      credit: (events, bytes = 0) => hold.credit(events, bytes),
      settle: (ids, outcome, cumulative = false) => hold.settle(ids, outcome, cumulative),
    },
    out,
  ).then(leave, (error: unknown) => out.end(error));
  try {
    for await (const message of out) yield message as never;
  } finally {
    ctx.signal.removeEventListener('abort', leave);
    ctx.draining.removeEventListener('abort', drain);
    await hold.detach();
  }
}

async function attach(
  { directory, sessionOf, attachHere }: AttachServiceDeps,
  { principal, subscription: name, consumer }: Open,
  sink: DeliverySink,
): Promise<Hold> {
  if (principal === undefined) throw invalid('principal', 'is missing');
  if (consumer === '') throw invalid('consumer', 'is missing');
  const session = await sessionOf(principal);
  const subscription = await directory.awaited(`${principal.tenant}/${name}`, KNOWN_MS_MAX);
  if (subscription === undefined) {
    throw new MeshError('NotFound', `there is no subscription "${name}"`, {
      field: 'subscription',
    });
  }
  checkGrants(session, subscription);
  return attachHere(subscription, session, consumer, sink);
}
