import type { FastifyInstance } from 'fastify';
import { guarded, pathParameter, sendJson, type HttpContext } from '../context.ts';
import { schema, text, integer } from '../openapi.ts';
import { Query } from '../query.ts';

const LIST = schema(
  'publish',
  'Scheduled events that wait for their time',
  'The first ones due, in that order, and how many wait in all. Needs the action inspect on timers.',
  { query: { size: integer('Most events in the answer. Default 100.', 1, 1000) } },
);
const CANCEL = schema(
  'publish',
  'Take a scheduled event back',
  '404: no such event waits, as when it has been published. 400: several sources have such an event, and none is named. 409: the timers changed meanwhile.',
  {
    params: { id: text('CloudEvents id.') },
    query: { source: text('CloudEvents source. Needed when several have an event with this id.') },
  },
);

/** Scheduled events under `/v1/scheduled`. */
export function registerScheduled(app: FastifyInstance, context: HttpContext): void {
  const { scheduled } = context.port;
  app.get(
    '/v1/scheduled',
    { schema: LIST },
    guarded(context, 'scheduled', async (request, reply, session) => {
      const size = new Query(request.query, ['size']).integer('size', 1, 1000, 100);
      sendJson(reply, 200, await scheduled.list(session, size));
    }),
  );
  app.delete(
    '/v1/scheduled/:id',
    { schema: CANCEL },
    guarded(context, 'scheduled', async (request, reply, session) => {
      const source = new Query(request.query, ['source']).text('source') ?? '';
      const id = pathParameter(request, 'id');
      sendJson(reply, 200, { cancelled: await scheduled.cancel(session, id, source) });
    }),
  );
}
