import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Session } from '@eventmesh/adapter-api';
import { guarded, pathParameter, type HttpContext } from '../context.ts';
import { envelopeJson } from '../delivery-json.ts';
import { pullSchema } from '../openapi.ts';
import { SERVER_LIMITS } from '../options.ts';
import { PullConsumer, type Pulled } from '../pull-consumer.ts';
import { Query } from '../query.ts';

/** `POST /v1/subscriptions/{name}/pull`: long poll; what it returns is settled explicitly. */
export function registerPull(app: FastifyInstance, context: HttpContext): void {
  app.post(
    '/v1/subscriptions/:name/pull',
    { schema: pullSchema, bodyLimit: SERVER_LIMITS.managementBytesMax },
    guarded(context, 'pull', async (request, reply, session) => {
      const query = new Query(request.query, ['max', 'maxBytes', 'waitMs', 'consumer']);
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

function send(reply: FastifyReply, { deliveries, gaps, refused }: Pulled): void {
  const parts = deliveries
    .map(envelopeJson)
    .flatMap((json, index) => (index === 0 ? [json] : [COMMA, json]));
  const body = [Buffer.from('{"deliveries":['), ...parts];
  body.push(Buffer.from(`],"gaps":${JSON.stringify(gaps)},"refused":${JSON.stringify(refused)}}`));
  reply.code(200).header('content-type', 'application/json').send(Buffer.concat(body));
}

const COMMA = Buffer.from(',');

/** Bytes that may wait for a pull; one event always may. */
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
  const made = new PullConsumer(
    session.principal,
    {
      bytesMax: pullBytesMax(context),
      messagesMax: options.pullMessagesMax,
    },
    () => {
      consumers.removePull(key, made);
      metrics.streams('pull', -1);
    },
  );
  // Held at once, so that two first pulls at a time share one consumer.
  consumers.addPull(key, made);
  metrics.streams('pull', 1);
  await made.attach(() => port.attach(session, { subscription, consumer }, made));
  return made;
}
