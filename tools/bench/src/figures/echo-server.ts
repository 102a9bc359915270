/** The least that an HTTP publish could cost: fastify that sends each body back. */
import fastify from 'fastify';

const app = fastify();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/echo', (request, reply) =>
  reply.header('content-type', 'application/octet-stream').send(request.body),
);
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
