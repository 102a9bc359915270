import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { PublishItem, Receipt, Session } from '@eventmesh/adapter-api';
import { MeshError } from '@eventmesh/errors';
import { EventView, inBatch } from '@eventmesh/event';
import { guarded, sendJson, type HttpContext } from '../context.ts';
import { problemOf } from '../problem.ts';
import { Query } from '../query.ts';
import { asHeaderFault, readRequestEvents } from '../request-event.ts';
import { topicOfPath } from '../topic-path.ts';
import { publishSchema } from '../openapi.ts';

const NO_BODY = Buffer.alloc(0);
const PARAMETERS = ['delivery', 'expiresAfterMs', 'atomic'];

interface Wanted {
  readonly deliveryClass?: 'durable' | 'direct';
  readonly expiresAfterMs?: number;
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
      return reply;
    }),
  );
}

async function publish(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  session: Session,
): Promise<FastifyReply> {
  const { raw } = request;
  const url = raw.url ?? '';
  const topic = topicOfPath(url);
  const query = url.includes('?') ? new Query(request.query, PARAMETERS) : undefined;
  const body = (request.body as Buffer | undefined) ?? NO_BODY;
  const { batchEventsMax } = context.options;
  const events = readRequestEvents(raw.rawHeaders, body, session.principal, batchEventsMax);
  const wanted = query === undefined ? {} : readWanted(query);
  if (events.kind === 'batch') {
    const atomic = query?.boolean('atomic') === true;
    return publishBatch(context, reply, session, { topic, ...wanted }, events.events, atomic);
  }
  const { event, binary } = events;
  const [outcome] = await context.port.publish(session, [{ topic, event, ...wanted }]);
  if (outcome === undefined) throw new MeshError('Internal', 'the mesh gave no outcome');
  if (outcome instanceof MeshError) throw binary ? asHeaderFault(outcome) : outcome;
  setReceiptHeaders(reply, outcome);
  const status = wanted.deliveryClass === 'direct' ? 202 : 200;
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .send(receiptJson(outcome, new EventView(event).id));
}

function readWanted(query: Query): Wanted {
  const delivery = query.text('delivery');
  const expiresAfterMs = query.integer('expiresAfterMs', 1, Number.MAX_SAFE_INTEGER, 0);
  return {
    ...(delivery === undefined
      ? {}
      : { deliveryClass: query.choice('delivery', ['durable', 'direct'], 'durable') }),
    ...(expiresAfterMs === 0 ? {} : { expiresAfterMs }),
  };
}

function setReceiptHeaders(reply: FastifyReply, receipt: Receipt): void {
  reply.header('eventmesh-duplicate', receipt.duplicate ? 'true' : 'false');
  if (receipt.durability === undefined) return;
  reply
    .header('eventmesh-partition', String(receipt.partition))
    .header('eventmesh-position', String(receipt.position))
    .header('eventmesh-durability', receipt.durability);
}

function receiptJson(receipt: Receipt, id: string): string {
  return JSON.stringify({ id, ...receipt });
}

/**
 * A batch answers 200 when every event was accepted (202 for direct) and 207 when some were not, with
 * one outcome per event, in order. An atomic batch is accepted as a whole or refused as a whole.
 */
async function publishBatch(
  context: HttpContext,
  reply: FastifyReply,
  session: Session,
  common: Omit<PublishItem, 'event'>,
  events: readonly (Buffer | MeshError)[],
  atomic: boolean,
): Promise<FastifyReply> {
  const good = events.flatMap((event) => (event instanceof MeshError ? [] : [event]));
  const fault = events.find((event) => event instanceof MeshError);
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
    // A fault of the format knows its place already.
    return problemOf(outcome === event ? outcome : inBatch(outcome, index));
  });
  if (atomic && refused > 0) throw firstCause(outcomes);
  const status = refused > 0 ? 207 : common.deliveryClass === 'direct' ? 202 : 200;
  return sendJson(reply, status, { outcomes: lines });
}

/** Of an atomic batch that was refused, the event at fault rather than those that fell with it. */
function firstCause(outcomes: readonly (Receipt | MeshError)[]): MeshError {
  const errors = outcomes.map((outcome, index) =>
    outcome instanceof MeshError ? inBatch(outcome, index) : undefined,
  );
  const known = errors.filter((error) => error !== undefined);
  const cause = known.find((error) => error.code !== 'Aborted') ?? known[0];
  return cause ?? new MeshError('Internal', 'an atomic batch failed');
}
