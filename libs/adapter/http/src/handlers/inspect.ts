import type { FastifyInstance } from 'fastify';
import type { Session } from '@eventmesh/adapter-api';
import { guarded, pathParameter, sendJson, type HttpContext } from '../context.ts';
import { manageSchemas as schemas } from '../openapi.ts';
import { Query } from '../query.ts';

/** Looking at the mesh: what became of an event and why, sites, the ledger, the store, topics. */
export function registerInspection(app: FastifyInstance, context: HttpContext): void {
  const { inspect } = context.port;
  app.get(
    '/v1/trace/:id',
    { schema: schemas.trace },
    guarded(context, 'inspect', async (request, reply, session) => {
      const source = new Query(request.query, ['source']).text('source');
      const id = pathParameter(request, 'id');
      sendJson(reply, 200, await inspect.trace(session, id, source));
    }),
  );
  app.get(
    '/v1/why/:id',
    { schema: schemas.why },
    guarded(context, 'inspect', async (request, reply, session) => {
      const query = new Query(request.query, ['source', 'subscription']);
      const source = query.text('source');
      const subscription = query.text('subscription');
      const report = await inspect.why(session, {
        eventId: pathParameter(request, 'id'),
        ...(source === undefined ? {} : { source }),
        ...(subscription === undefined ? {} : { subscription }),
      });
      sendJson(reply, 200, report);
    }),
  );
  const reads = [
    ['/v1/sites', schemas.sites, inspect.sites],
    ['/v1/store', schemas.store, inspect.store],
    ['/v1/ledger', schemas.ledger, async (session) => ({ lines: await inspect.ledger(session) })],
    [
      '/v1/ledger/check',
      schemas.checkLedger,
      async (session) => ({ findings: await inspect.checkLedger(session) }),
    ],
    ['/v1/topics', schemas.topics, async (session) => ({ topics: await inspect.topics(session) })],
  ] as const satisfies readonly (readonly [
    string,
    object,
    (session: Session) => Promise<object>,
  ])[];
  for (const [path, schema, read] of reads) {
    app.get(
      path,
      { schema },
      guarded(context, 'inspect', async (_, reply, session) =>
        sendJson(reply, 200, await read(session)),
      ),
    );
  }
}
