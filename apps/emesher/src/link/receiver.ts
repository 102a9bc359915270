import { MeshError, invalid } from '@eventmesh/errors';
import type { Revisions } from '@eventmesh/event';
import type { LinkRequest } from '@eventmesh/proto-gen/link';
import { AsyncQueue, type CallContext } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger, Tracing } from '@eventmesh/telemetry';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import type { Logs } from '../logs.ts';
import type { EmesherMetrics } from '../metrics.ts';
import type { DirectLanes } from '../deliver/direct-lanes.ts';
import type { ForwardDirect } from '../publish/direct.ts';
import { Incoming } from './incoming.ts';
import { isLinkFenced, type LinkOwners } from './link-owners.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { SeenBook } from './seen.ts';

export interface ReceiverDeps {
  readonly site: string;
  readonly member: string;
  readonly store: EventStore;
  readonly logs: Logs;
  readonly lanes: Pick<DirectLanes, 'deliver'>;
  readonly ledger: Ledger;
  readonly metrics: EmesherMetrics;
  readonly journal: Journal;
  readonly tracing: Tracing;
  readonly logger: Logger;
  readonly windowBytes: number;
  /** Answers that may wait for the neighbour to read them. */
  readonly answersMax: number;
  /** Shortest time between two writes of what the neighbour has passed by, in ms. */
  readonly progressInterval: number;
  readonly hopsMax: number;
  /** Those in force at this site now: what a subscription may have is judged by them. */
  readonly revisions: () => Revisions;
  /** Tells what is in hand; see `Metrics.measure`. */
  readonly measure: (window: ReceiveWindow, answers: () => number) => () => void;
  readonly neighbours: ReadonlySet<string>;
  readonly forwardDirect: ForwardDirect;
}

export interface IncomingDeps extends ReceiverDeps {
  /** Shared by all incoming links. */
  readonly seen: SeenBook;
  /** Likewise. */
  readonly owners: LinkOwners;
}

/** What waits to be sent back to the neighbour. */
export type Answers = AsyncQueue<{ message: { case: string; value: object } }>;

/** The incoming half of a link: stores what the neighbour sends, then accepts it. */
export async function* receiveLink(
  deps: IncomingDeps,
  requests: AsyncIterable<LinkRequest>,
  ctx: CallContext,
) {
  const inputs = requests[Symbol.asyncIterator]();
  const first = await inputs.next();
  if (first.done === true || first.value.message.case !== 'hello') {
    throw invalid('hello', 'must be the first message of a link');
  }
  const hello = first.value.message.value;
  if (hello.toSite !== deps.site) {
    throw new MeshError('FailedPrecondition', `this is site "${deps.site}", not "${hello.toSite}"`);
  }
  if (!deps.neighbours.has(hello.site)) {
    throw new MeshError('FailedPrecondition', `site "${hello.site}" is not a neighbour here`, {
      field: 'links',
    });
  }
  const out: Answers = new AsyncQueue();
  const { site, member } = deps;
  const windowBytes = BigInt(deps.windowBytes);
  const window = new ReceiveWindow(deps.windowBytes, deps.answersMax, () => out.size);
  const source = { site: hello.site, epoch: Number(hello.epoch) };
  const incoming = new Incoming(deps, source, out, window);
  const refuse = (error: unknown) => {
    if (isLinkFenced(error)) incoming.fence(error);
    else out.end(error);
  };
  deps.owners.enter(hello.site, { epoch: source.epoch, member: hello.member, fence: refuse });
  out.push({ message: { case: 'welcome', value: { site, member, windowBytes } } });
  const stop = () => out.end();
  for (const signal of [ctx.signal, ctx.draining]) {
    signal.addEventListener('abort', stop, { once: true });
  }
  const taking = (async () => {
    for (;;) {
      const next = await inputs.next();
      if (next.done === true || window.closed) return;
      await incoming.take(next.value);
      await window.room();
    }
  })();
  taking.then(stop, refuse);
  const unmeasure = deps.measure(window, () => out.size);
  try {
    for await (const message of out) {
      yield message as never;
      window.answered();
    }
  } finally {
    unmeasure();
    window.close();
    // Nobody waits for what is only a hint; a store that closes takes in first what it was given.
    void incoming.close();
    for (const signal of [ctx.signal, ctx.draining]) signal.removeEventListener('abort', stop);
  }
}
