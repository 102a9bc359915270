import type { FastifyInstance } from 'fastify';
import { guarded, pathParameter, sendJson, type HttpContext } from '../context.ts';
import { replaySchemas as schemas } from '../openapi-replay.ts';
import { Query } from '../query.ts';
import { readPreview } from '../replay-query.ts';

/** What a replay would deliver, and the lanes that are open at this site. */
export function registerReplays(app: FastifyInstance, context: HttpContext): void {
  const { replays } = context.port;
  app.get(
    '/v1/subscriptions/:name/replay',
    { schema: schemas.preview },
    guarded(context, 'replays', async (request, reply, session) => {
      const options = readPreview(new Query(request.query, ['from', 'to', 'expired']));
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const name = pathParameter(request, 'name');
      sendJson(reply, 200, await replays.preview(session, name, options, gone.signal));
    }),
  );
  app.get(
    '/v1/replays',
    { schema: schemas.list },
    guarded(context, 'replays', async (request, reply, session) => {
      const subscription = new Query(request.query, ['subscription']).text('subscription');
      sendJson(reply, 200, { replays: await replays.list(session, subscription) });
    }),
  );
  app.delete(
    '/v1/replays/:id',
    { schema: schemas.stop },
    guarded(context, 'replays', async (request, reply, session) => {
      await replays.stop(session, pathParameter(request, 'id'));
      reply.code(204).send();
    }),
  );
}
