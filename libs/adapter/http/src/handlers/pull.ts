import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Session } from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';
import { guarded, jsonBody, pathParameter, type HttpContext } from '../context.ts';
import { envelopeJson } from '../delivery-json.ts';
import { pullSchema } from '../openapi.ts';
import { SERVER_LIMITS } from '../options.ts';
import { PullConsumer, type Pulled } from '../pull-consumer.ts';
import { Query } from '../query.ts';

/** `POST /v1/subscriptions/{name}/pull`: long poll; what it answers is settled explicitly. */
export function registerPull(app: FastifyInstance, context: HttpContext): void {
  app.post(
    '/v1/subscriptions/:name/pull',
    { schema: pullSchema, bodyLimit: SERVER_LIMITS.managementBytesMax },
    guarded(context, 'pull', async (request, reply, session) => {
      const query = parameters(request);
      const max = query.integer('max', 1, 1000, 100);
      const bytesMax = pullBytesMax(context);
      const maxBytes = query.integer('maxBytes', 1, bytesMax, bytesMax);
      const waitMs = query.integer('waitMs', 0, 30_000, 0);
      const name = pathParameter(request, 'name');
      const consumer = query.text('consumer') ?? `pull-${session.principal.name}`;
      const held = await consumerOf(context, session, name, consumer);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      send(reply, await held.pull({ max, maxBytes }, waitMs, gone.signal));
    }),
  );
}

const PARAMETERS = ['max', 'maxBytes', 'waitMs', 'consumer'];

/** From the query, a JSON body, or some from each. */
function parameters(request: FastifyRequest): Query {
  const { body, query } = request;
  if (!Buffer.isBuffer(body) || body.length === 0) return new Query(query, PARAMETERS);
  const asked = Object.entries(query ?? {});
  const given = Object.entries(jsonBody(request)).map(([key, value]) => {
    const type = key === 'consumer' ? 'string' : 'number';
    if (PARAMETERS.includes(key) && typeof value !== type) throw invalid(key, `must be a ${type}`);
    const twice = asked.some(([other]) => other === key);
    if (twice) throw invalid(key, 'is in the query, too; give it once');
    return [key, String(value)];
  });
  return new Query(Object.fromEntries([...asked, ...given]), PARAMETERS);
}

function send(reply: FastifyReply, { deliveries, gaps, refused }: Pulled): void {
  const parts = deliveries
    .map(envelopeJson)
    .flatMap((json, index) => (index === 0 ? [json] : [COMMA, json]));
  const body = [Buffer.from('{"deliveries":['), ...parts];
  body.push(Buffer.from(`],"gaps":${JSON.stringify(gaps)},"refused":${JSON.stringify(refused)}}`));
  reply.code(200).header('content-type', 'application/json').send(Buffer.concat(body));
}

const COMMA = Buffer.from(',');

/** Bytes of one answer; one event always may be in it. */
const pullBytesMax = ({ options, port }: HttpContext): number =>
  Math.max(options.streamBytesMax, port.eventBytesMax);

async function consumerOf(
  context: HttpContext,
  session: Session,
  subscription: string,
  consumer: string,
): Promise<PullConsumer> {
  const { consumers, port, options, metrics } = context;
  const { tenant, kind, name } = session.principal;
  const key = JSON.stringify([tenant, kind, name, subscription, consumer]);
  const found = consumers.pull(key);
  if (found !== undefined) return found;
  const made = new PullConsumer(session.principal, { messagesMax: options.pullMessagesMax }, () => {
    consumers.removePull(key, made);
    metrics.streams('pull', -1);
  });
  // Held at once, so that two first pulls at a time share one consumer.
  consumers.addPull(key, made);
  metrics.streams('pull', 1);
  await made.attach(() => port.attach(session, { subscription, consumer }, made));
  return made;
}
