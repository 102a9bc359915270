import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { LatePolicy, PublishItem, Receipt, Session } from '@eventmesh/adapter-api';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, inBatch } from '@eventmesh/event';
import { guarded, sendJson, type HttpContext } from '../context.ts';
import { problemOf } from '../problem.ts';
import { Query } from '../query.ts';
import { asHeaderFault, readRequestEvents } from '../request-event.ts';
import { topicOfPath } from '../topic-path.ts';
import { publishSchema } from '../openapi.ts';
import { REQUEST_MS, REQUEST_MS_MAX, answerRequest } from './request.ts';

const NO_BODY = Buffer.alloc(0);
const PARAMETERS = [
  ...['delivery', 'expiresAfterMs', 'deliverAtMs', 'deliverAfterMs', 'late'],
  ...['atomic', 'reply', 'timeoutMs'],
];

interface Wanted {
  readonly deliveryClass?: 'durable' | 'direct';
  readonly expiresAfterMs?: number;
  readonly deliverAtMs?: number;
  readonly deliverAfterMs?: number;
  readonly latePolicy?: LatePolicy;
  readonly traceparent?: string;
}

/** `POST /v1/topics/<topic>`: one event, or a batch, in any mode of the CloudEvents HTTP binding. */
export function registerPublish(app: FastifyInstance, context: HttpContext): void {
  app.post(
    '/v1/topics/*',
    { schema: publishSchema },
    guarded(context, 'publish', async (request, reply, session) => {
      const startedMs = performance.now();
      await publish(context, request, reply, session);
      context.metrics.published(startedMs);
    }),
  );
}

async function publish(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  session: Session,
): Promise<void> {
  const { raw } = request;
  const url = raw.url ?? '';
  const topic = topicOfPath(url);
  const query = url.includes('?') ? new Query(request.query, PARAMETERS) : undefined;
  const body = (request.body as Buffer | undefined) ?? NO_BODY;
  const { batchEventsMax } = context.options;
  const events = readRequestEvents(raw.rawHeaders, body, session.principal, batchEventsMax);
  const { traceparent } = events;
  const wanted = {
    ...(query === undefined ? {} : readWanted(query)),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  if (events.kind === 'batch') {
    const atomic = query?.boolean('atomic') === true;
    if (query !== undefined && readWait(query) !== undefined) {
      throw invalid('reply', 'is for one request; a batch gets no reply');
    }
    await publishBatch(context, reply, session, { topic, ...wanted }, events.events, atomic);
    return;
  }
  const { event, binary } = events;
  const waitMs = query === undefined ? undefined : readWait(query);
  if (waitMs !== undefined) {
    await answerRequest(context, request, reply, session, { topic, event, ...wanted }, waitMs);
    return;
  }
  const [outcome] = await context.port.publish(session, [{ topic, event, ...wanted }]);
  if (outcome === undefined) throw new MeshError('Internal', 'the mesh gave no outcome');
  if (outcome instanceof MeshError) throw binary ? asHeaderFault(outcome) : outcome;
  const status = outcome.durability === undefined ? 202 : 200;
  sendReceipt(reply, status, outcome, new EventView(event).id);
}

function readWanted(query: Query): Wanted {
  const delivery = query.text('delivery');
  const late = query.text('late');
  const time = (name: 'expiresAfterMs' | 'deliverAtMs' | 'deliverAfterMs') => {
    const ms = query.integer(name, 1, Number.MAX_SAFE_INTEGER, 0);
    return ms === 0 ? {} : { [name]: ms };
  };
  return {
    ...(delivery === undefined
      ? {}
      : { deliveryClass: query.choice('delivery', ['durable', 'direct'], 'durable') }),
    ...time('expiresAfterMs'),
    ...time('deliverAtMs'),
    ...time('deliverAfterMs'),
    ...(late === undefined
      ? {}
      : { latePolicy: query.choice('late', ['fire', 'skip', 'dead-letter'], 'fire') }),
  };
}

/** How long to wait for a reply, in ms; undefined when none is wanted. */
function readWait(query: Query): number | undefined {
  const timeoutMs = query.integer('timeoutMs', 1, REQUEST_MS_MAX, REQUEST_MS);
  if (query.choice('reply', ['none', 'wait'], 'none') === 'wait') return timeoutMs;
  if (query.text('timeoutMs') === undefined) return undefined;
  throw invalid('timeoutMs', 'goes with reply=wait only');
}

/** Straight to the response: this is the hot path, and there is nothing here for fastify to do. */
function sendReceipt(reply: FastifyReply, status: number, receipt: Receipt, id: string): void {
  const { duplicate, durability, partition, position } = receipt;
  const body = JSON.stringify({ id, ...receipt });
  const headers: Record<string, string | number> = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'eventmesh-duplicate': duplicate ? 'true' : 'false',
  };
  if (durability !== undefined) {
    headers['eventmesh-partition'] = partition;
    headers['eventmesh-position'] = position;
    headers['eventmesh-durability'] = durability;
  }
  reply.hijack();
  reply.raw.writeHead(status, headers).end(body);
}

/**
 * A batch answers 200 when every event was accepted (202 when nothing of it was stored) and 207 when some were not, with
 * one outcome per event, in order. An atomic batch is accepted as a whole or refused as a whole.
 */
async function publishBatch(
  context: HttpContext,
  reply: FastifyReply,
  session: Session,
  common: Omit<PublishItem, 'event'>,
  events: readonly (Buffer | MeshError)[],
  atomic: boolean,
): Promise<void> {
  const good = events.flatMap((event) => (event instanceof MeshError ? [] : [event]));
  const fault = events.find((event) => event instanceof MeshError);
  // A fault of the format knows its place already.
  if (atomic && fault !== undefined) throw fault;
  const items = good.map((event) => ({ ...common, event }));
  const outcomes = items.length === 0 ? [] : await context.port.publish(session, items, { atomic });
  let next = 0;
  let refused = 0;
  const lines = events.map((event, index) => {
    const outcome = event instanceof MeshError ? event : outcomes[next++];
    if (outcome === undefined) throw new MeshError('Internal', 'the mesh gave no outcome');
    if (!(outcome instanceof MeshError)) {
      return { status: outcome.durability === undefined ? 202 : 200, receipt: outcome };
    }
    refused++;
    return problemOf(outcome === event ? outcome : inBatch(outcome, index));
  });
  if (atomic && refused > 0) throw cause(outcomes);
  // The class may come from the catalogue, so the receipts tell.
  const direct = lines.length > 0 && lines.every(({ status }) => status === 202);
  sendJson(reply, refused > 0 ? 207 : direct ? 202 : 200, { outcomes: lines });
}

/** Of an atomic batch that was refused: all have the cause, with the place of the event at fault. */
const cause = (outcomes: readonly (Receipt | MeshError)[]): MeshError =>
  outcomes.find((outcome) => outcome instanceof MeshError) ??
  new MeshError('Internal', 'an atomic batch failed');
