import type { FastifyInstance } from 'fastify';
import { rejection, type SettleOutcome } from '@eventmesh/adapter-api';
import { RELEASE_DELAY_MS_MAX } from '@eventmesh/delivery';
import { invalid } from '@eventmesh/errors';
import { Consumers } from '../consumers.ts';
import {
  guarded,
  jsonBody,
  notHere,
  pathParameter,
  sendJson,
  type HttpContext,
} from '../context.ts';
import { settleSchema } from '../openapi.ts';
import { SERVER_LIMITS } from '../options.ts';
import { parseToken } from '../sse-token.ts';

const IDS_MAX = 1000;
const FIELDS = ['ids', 'outcome', 'delayMs', 'reason', 'cumulative', 'consumer'];

/** `POST /v1/subscriptions/{name}/settle`: accept, release, reject or renew what was delivered. */
export function registerSettle(app: FastifyInstance, context: HttpContext): void {
  app.post(
    '/v1/subscriptions/:name/settle',
    { schema: settleSchema, bodyLimit: SERVER_LIMITS.managementBytesMax },
    guarded(context, 'settle', async (request, reply, session) => {
      const name = pathParameter(request, 'name');
      const body = jsonBody(request);
      const unknownField = Object.keys(body).find((field) => !FIELDS.includes(field));
      if (unknownField !== undefined) {
        throw invalid(unknownField, `is not a field of a settle; known are ${FIELDS.join(', ')}`);
      }
      const ids = readIds(body['ids']);
      const outcome = readOutcome(body);
      const cumulative = body['cumulative'] === true;
      const consumer = body['consumer'];
      if (consumer !== undefined && typeof consumer !== 'string') {
        throw invalid('consumer', 'must be a string');
      }
      const found = context.consumers.settling(session.principal, name, consumer);
      if (cumulative) Consumers.single(found);
      let unknown: readonly number[] = ids;
      let settled: number | undefined = 0;
      for (const { attachment } of found) {
        if (unknown.length === 0) break;
        const { refused, count } = attachment.settle(unknown, outcome, cumulative);
        unknown = refused;
        settled = count === undefined || settled === undefined ? undefined : settled + count;
      }
      if (settled === 0) {
        throw notHere('none of the ids is a delivery that waits to be settled', 'ids');
      }
      sendJson(reply, 200, { settled, unknown });
    }),
  );
}

/** Delivery ids as numbers, or the ids of SSE events. */
function readIds(value: unknown): number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > IDS_MAX) {
    throw invalid('ids', 'must be a list of delivery ids', { limit: `1 to ${IDS_MAX} ids` });
  }
  return value.map((id: unknown, index) => {
    if (typeof id === 'string') return parseToken(id, `ids[${index}]`).deliveryId;
    if (Number.isSafeInteger(id)) return id as number;
    throw invalid(`ids[${index}]`, 'is neither a delivery id nor the id of an SSE event');
  });
}

function readOutcome(body: Readonly<Record<string, unknown>>): SettleOutcome {
  const { outcome, delayMs, reason, cumulative } = body;
  if (cumulative !== undefined && typeof cumulative !== 'boolean') {
    throw invalid('cumulative', 'must be true or false');
  }
  if (delayMs !== undefined && outcome !== 'release') {
    throw invalid('delayMs', 'goes with the outcome release only');
  }
  if (reason !== undefined && outcome !== 'reject') {
    throw invalid('reason', 'goes with the outcome reject only');
  }
  switch (outcome) {
    case 'accept':
    case 'renew':
      return { kind: outcome };
    case 'release':
      if (delayMs === undefined) return { kind: outcome };
      if (
        !Number.isSafeInteger(delayMs) ||
        (delayMs as number) < 0 ||
        (delayMs as number) > RELEASE_DELAY_MS_MAX
      ) {
        throw invalid('delayMs', 'is out of bounds', { limit: `0 to ${RELEASE_DELAY_MS_MAX}` });
      }
      return { kind: outcome, delayMs: delayMs as number };
    case 'reject':
      if (reason !== undefined && typeof reason !== 'string') {
        throw invalid('reason', 'must be a text that says why');
      }
      return rejection(reason);
    default:
      throw invalid('outcome', 'is not one of accept, release, reject, renew');
  }
}
