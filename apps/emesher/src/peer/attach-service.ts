import { drainingError, type DeliverySink } from '@eventmesh/adapter-api';
import { ConsumerQueue, takeInputs, type ConsumerLimits } from '@eventmesh/adapter-grpc';
import { subscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import type { Principal } from '@eventmesh/proto-gen/acl';
import type { AttachRequest, Open } from '@eventmesh/proto-gen/peer';
import type { CallContext } from '@eventmesh/rpc';
import type { Directory } from '../control/directory.ts';
import type { Hold } from '../deliver/hold.ts';
import { checkGrants, type CallerSession } from '../session.ts';

export interface AttachServiceDeps {
  readonly directory: Directory;
  /** Of what waits for the calling emesher to read it, for each consumer. */
  readonly consumerLimits: ConsumerLimits;
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
  const queue = new ConsumerQueue(deps.consumerLimits);
  const hold = await attach(deps, first.value.message.value, queue);
  queue.open(
    {
      credit: (events, bytes = 0) => hold.credit(events, bytes),
      drain: () => hold.drain(),
      settle: (ids, outcome, cumulative = false) => hold.settle(ids, outcome, cumulative),
      detach: () => hold.detach(),
    },
    {},
  );
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
  const subscription = await directory.awaited(
    subscriptionKey({ tenant: principal.tenant, name }),
    KNOWN_MS_MAX,
  );
  if (subscription === undefined) {
    throw new MeshError('NotFound', `there is no subscription "${name}"`, {
      field: 'subscription',
    });
  }
  checkGrants(session, subscription);
  return attachHere(subscription, session, consumer, sink);
}
