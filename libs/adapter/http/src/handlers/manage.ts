import type { FastifyInstance } from 'fastify';
import { invalid } from '@eventmesh/errors';
import { guarded, jsonBody, pathParameter, sendJson, type HttpContext } from '../context.ts';
import { manageSchemas as schemas } from '../openapi.ts';
import { SERVER_LIMITS } from '../options.ts';
import { Query } from '../query.ts';
import { readChange, readStart, readSubscription } from '../subscription-json.ts';

const bodyLimit = SERVER_LIMITS.managementBytesMax;

/** Durable subscriptions as resources under `/v1/subscriptions`. */
export function registerSubscriptions(app: FastifyInstance, context: HttpContext): void {
  const { subscriptions } = context.port;
  const one = '/v1/subscriptions/:name';
  app.post(
    '/v1/subscriptions',
    { schema: schemas.create, bodyLimit },
    guarded(context, 'subscriptions', async (request, reply, session) => {
      const created = await subscriptions.create(session, readSubscription(jsonBody(request)));
      reply.header('location', `/v1/subscriptions/${encodeURIComponent(created.name)}`);
      sendJson(reply, 201, created);
    }),
  );
  app.get(
    '/v1/subscriptions',
    { schema: schemas.list },
    guarded(context, 'subscriptions', async (request, reply, session) => {
      const query = new Query(request.query, ['size', 'token']);
      const size = query.integer('size', 1, 1000, 100);
      const page = await subscriptions.list(session, { size, token: query.text('token') ?? '' });
      sendJson(reply, 200, page);
    }),
  );
  app.get(
    one,
    { schema: schemas.get },
    guarded(context, 'subscriptions', async (request, reply, session) =>
      sendJson(reply, 200, await subscriptions.get(session, pathParameter(request, 'name'))),
    ),
  );
  app.put(
    one,
    { schema: schemas.update, bodyLimit },
    guarded(context, 'subscriptions', async (request, reply, session) => {
      const change = readChange(jsonBody(request), pathParameter(request, 'name'));
      sendJson(reply, 200, await subscriptions.update(session, change));
    }),
  );
  app.delete(
    one,
    { schema: schemas.delete },
    guarded(context, 'subscriptions', async (request, reply, session) => {
      await subscriptions.delete(session, pathParameter(request, 'name'));
      reply.code(204).send();
    }),
  );
  app.post(
    `${one}/pause`,
    { schema: schemas.pause, bodyLimit },
    guarded(context, 'subscriptions', async (request, reply, session) => {
      const { paused, ...more } = jsonBody(request);
      if (typeof paused !== 'boolean') throw invalid('paused', 'must be true or false');
      refuseMore(more, 'paused');
      const name = pathParameter(request, 'name');
      sendJson(reply, 200, await subscriptions.pause(session, name, paused));
    }),
  );
  app.post(
    `${one}/seek`,
    { schema: schemas.seek, bodyLimit },
    guarded(context, 'subscriptions', async (request, reply, session) => {
      const { start, ...more } = jsonBody(request);
      refuseMore(more, 'start');
      const name = pathParameter(request, 'name');
      sendJson(reply, 200, await subscriptions.seek(session, name, readStart(start)));
    }),
  );
}

function refuseMore(more: Readonly<Record<string, unknown>>, known: string): void {
  const [field] = Object.keys(more);
  if (field !== undefined) {
    throw invalid(field.slice(0, 64), `is not a field here; known is ${known}`);
  }
}
