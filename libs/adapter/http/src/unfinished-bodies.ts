import type { FastifyInstance } from 'fastify';
import type { MessageBudget } from '@eventmesh/telemetry';

/**
 * Counts what comes of bodies until they are whole. A request that is refused for it is answered as
 * when its body broke off; the rest is not read, and the connection ends with the answer.
 */
export function boundUnfinishedBodies(app: FastifyInstance, budget: MessageBudget): void {
  app.addHook('preParsing', ({ headers }, reply, payload, done) => {
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
    if (length !== '0' || encoding !== undefined) {
      let bytes = 0;
      const hold = budget.share((error) => {
        reply.header('connection', 'close');
        payload.emit('error', error);
      });
      payload.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        // What comes after the answer is kept by nobody.
        hold(reply.sent ? 0 : bytes);
      });
      for (const end of ['end', 'close']) payload.once(end, () => hold(0));
    }
    done(null, payload);
  });
}
