import type { FastifyInstance } from 'fastify';
import type { MessageBudget } from '@eventmesh/telemetry';

/** Nobody reads what comes with these: it waits in the socket, and is never kept. */
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** What a piece takes at least, however little is in it. */
const PIECE_BYTES_MIN = 256;

/**
 * Counts what comes of bodies until they are whole. A request that is refused for it is answered as
 * when its body broke off; the rest is not read, and the connection ends with the answer.
 */
export function boundUnfinishedBodies(app: FastifyInstance, budget: MessageBudget): void {
  app.addHook('preParsing', ({ headers, method }, reply, payload, done) => {
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
    const hasBody = length !== '0' || encoding !== undefined;
    if (hasBody && !WITHOUT_BODY.has(method)) {
      let bytes = 0;
      const hold = budget.share((error) => {
        reply.header('connection', 'close');
        payload.emit('error', error);
      });
      payload.on('data', (chunk: Buffer) => {
        bytes += Math.max(chunk.length, PIECE_BYTES_MIN);
        // What comes after the answer is kept by nobody.
        hold(reply.sent ? 0 : bytes);
      });
      for (const end of ['end', 'close']) payload.once(end, () => hold(0));
    }
    done(null, payload);
  });
}
