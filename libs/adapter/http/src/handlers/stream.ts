import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { AttachOptions, ReplayOptions, Session } from '@eventmesh/adapter-api';
import { startFromText, type Start, type SubscriptionInput } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { parseStrictJson } from '@eventmesh/event';
import { guarded, pathParameter, type HttpContext } from '../context.ts';
import { eventsSchema, subscriptionEventsSchema } from '../openapi.ts';
import { Query } from '../query.ts';
import { REPLAY_PARAMETERS, readReplay } from '../replay-query.ts';
import { SseStream } from '../sse-stream.ts';
import { parseToken, type ResumeMemory, type SseToken } from '../sse-token.ts';
import { filtersOf } from '../subscription-json.ts';

const STREAM_PARAMETERS = ['credit', 'creditBytes', 'consumer', 'envelope', 'convergeMs'];

/** The two SSE routes: a named subscription, and an ephemeral one spelled in the query. */
export function registerStreams(
  app: FastifyInstance,
  context: HttpContext,
  resume: ResumeMemory,
): void {
  app.get(
    '/v1/subscriptions/:name/events',
    { schema: subscriptionEventsSchema },
    guarded(context, 'stream', async (request, reply, session) => {
      const query = new Query(request.query, [...STREAM_PARAMETERS, ...REPLAY_PARAMETERS, 'ack']);
      const ack = query.choice('ack', ['auto', 'explicit'], 'auto');
      const last = lastEventId(request);
      const replay = readReplay(query);
      if (replay !== undefined && last !== undefined) throw notResumed();
      // An explicit consumer accepts by settling and by nothing else: what it had received but not
      // settled when its connection broke is delivered again.
      const received = last === undefined || ack === 'explicit' ? undefined : resume.take(last);
      const subscription = pathParameter(request, 'name');
      await stream(context, request, reply, session, {
        subscription,
        query,
        ack,
        ...(replay === undefined ? { received, resume } : { replay }),
      });
    }),
  );
  app.get(
    '/v1/events',
    { schema: eventsSchema },
    guarded(context, 'stream', async (request, reply, session) => {
      const query = new Query(request.query, [
        ...STREAM_PARAMETERS,
        'topic',
        'filter',
        'start',
        'delivery',
      ]);
      const last = lastEventId(request);
      const subscription = ephemeral(query, last);
      const spec = { subscription, query, ack: 'auto' } as const;
      await stream(context, request, reply, session, spec).catch((thrown: unknown) => {
        throw last === undefined ? thrown : ofAnotherLog(thrown);
      });
    }),
  );
}

function lastEventId(request: FastifyRequest): SseToken | undefined {
  const header = request.headers['last-event-id'];
  if (header === undefined || header === '') return undefined;
  return parseToken(String(header), 'last-event-id');
}

/** After a break an ephemeral subscription goes on behind the last event the client has. */
function ephemeral(query: Query, last: SseToken | undefined): SubscriptionInput {
  const topicFilters = query.texts('topic');
  if (topicFilters.length === 0) throw invalid('topic', 'is missing; give at least one filter');
  const filters = query.texts('filter').flatMap((text) => {
    const value = filterJson(text);
    return filtersOf(Array.isArray(value) ? value : [value], 'filter');
  });
  const resumed = last !== undefined && last.position > 0;
  const start: Start = resumed
    ? { kind: 'position', partition: last.partition, position: last.position + 1 }
    : startFromText(query.text('start') ?? 'latest', 'start');
  return {
    name: `sse-${randomUUID()}`,
    topicFilters,
    filters,
    start,
    deliveryClass: query.choice('delivery', ['durable', 'direct'], 'durable'),
    ephemeral: true,
  };
}

function filterJson(text: string): unknown {
  try {
    return parseStrictJson(Buffer.from(text));
  } catch (error) {
    throw invalid('filter', `is not JSON: ${MeshError.from(error).message}`);
  }
}

interface StreamSpec {
  readonly subscription: string | SubscriptionInput;
  readonly query: Query;
  readonly ack: 'auto' | 'explicit';
  readonly received?: Set<string> | undefined;
  readonly resume?: ResumeMemory;
  readonly replay?: ReplayOptions;
}

async function stream(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  session: Session,
  spec: StreamSpec,
): Promise<void> {
  const { options, port, consumers, metrics } = context;
  const { query, ack } = spec;
  checkAccept(request.headers.accept);
  const bytesMax = Math.max(options.streamBytesMax, port.eventBytesMax);
  const made = new SseStream(reply.raw, session, {
    ack,
    envelope: query.boolean('envelope'),
    creditEvents: query.integer('credit', 1, 4096, options.streamCredit),
    creditBytes: query.integer('creditBytes', 1, bytesMax, bytesMax),
    stallMaxMs: options.stallMax,
    received: spec.received ?? new Set(),
  });
  const consumer = query.text('consumer');
  const attach: AttachOptions = {
    subscription: spec.subscription,
    convergeMs: query.integer('convergeMs', 0, 60_000, 0),
    ...(consumer === undefined ? {} : { consumer }),
    ...(spec.replay === undefined ? {} : { replay: spec.replay }),
  };
  const attachment = await port.attach(session, attach, made);
  // The response is ours from here: fastify neither ends it nor counts it.
  reply.hijack();
  consumers.add(made);
  metrics.streams('sse', 1);
  made.closed
    .then(async () => {
      consumers.remove(made);
      metrics.streams('sse', -1);
      if (ack === 'auto') spec.resume?.keep(made.connection, made.doubtful);
      await attachment.detach();
    })
    .catch((error: unknown) => context.log.error({ err: error }, 'a stream did not detach'));
  // The client may have left while we attached; `closed` has noticed.
  if (!reply.raw.destroyed) made.open(attachment);
}

/** The start that is refused came from the id: of another site, or from before a restore. */
function ofAnotherLog(thrown: unknown): unknown {
  const error = MeshError.from(thrown);
  const { field, limit } = error.details;
  if (field?.startsWith('start.') !== true) return thrown;
  return invalid(
    'last-event-id',
    `is not an id of this site's log (${error.message}); connect again without it`,
    limit === undefined ? {} : { limit },
  );
}

/** A client that comes back by itself would read the whole part again, and again after its end. */
const notResumed = () =>
  invalid(
    'last-event-id',
    'a replay is not resumed; open another one with replayFrom=partition:position behind the last id',
  );

function checkAccept(accept: string | undefined): void {
  if (accept === undefined || /text\/(event-stream|\*)|\*\/\*/i.test(accept)) return;
  throw invalid('accept', 'this resource is text/event-stream', { reason: 'NOT_ACCEPTABLE' });
}
