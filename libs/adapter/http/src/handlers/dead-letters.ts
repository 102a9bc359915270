import type { FastifyInstance, FastifyReply } from 'fastify';
import {
  DEAD_LETTER_IDS_MAX,
  REDRIVE_RATE_MAX,
  type DeadLetter,
  type DeadLetterSelection,
} from '@eventmesh/adapter-api';
import { invalid } from '@eventmesh/errors';
import { EventView, encodeJsonEvent } from '@eventmesh/event';
import { guarded, jsonBody, pathParameter, sendJson, type HttpContext } from '../context.ts';
import { deadLetterSchemas as schemas } from '../openapi-dead-letters.ts';
import { SERVER_LIMITS } from '../options.ts';
import { Query } from '../query.ts';

const bodyLimit = SERVER_LIMITS.managementBytesMax;
const SELECTION = ['subscription', 'cause', 'id'];
const BASE = '/v1/dead-letters';

/** The workbench of dead letters under `/v1/dead-letters`. */
export function registerDeadLetters(app: FastifyInstance, context: HttpContext): void {
  const { deadLetters } = context.port;
  app.get(
    BASE,
    { schema: schemas.list },
    guarded(context, 'dead-letters', async (request, reply, session) => {
      const query = new Query(request.query, [...SELECTION, 'size', 'token']);
      const size = query.integer('size', 1, 1000, 100);
      const page = { size, token: query.text('token') ?? '' };
      const { items, nextToken } = await deadLetters.list(session, fromQuery(query), page);
      sendJson(reply, 200, { items: items.map(toJson), nextToken });
    }),
  );
  app.get(
    `${BASE}/groups`,
    { schema: schemas.groups },
    guarded(context, 'dead-letters', async (request, reply, session) => {
      const selection = fromQuery(new Query(request.query, SELECTION));
      sendJson(reply, 200, { groups: await deadLetters.groups(session, selection) });
    }),
  );
  app.get(
    `${BASE}/status`,
    { schema: schemas.status },
    guarded(context, 'dead-letters', async (_, reply, session) =>
      sendJson(reply, 200, await deadLetters.status(session)),
    ),
  );
  app.get(
    `${BASE}/:id`,
    { schema: schemas.get },
    guarded(context, 'dead-letters', async (request, reply, session) => {
      const id = readId(pathParameter(request, 'id'), 'id');
      sendJson(reply, 200, toJson(await deadLetters.get(session, id)));
    }),
  );
  app.post(
    `${BASE}/redrive`,
    { schema: schemas.redrive, bodyLimit },
    guarded(context, 'dead-letters', async (request, reply, session) => {
      const { rateMax = 0, token = '', ...rest } = jsonBody(request);
      const options = { rateMax: readRate(rateMax), token: readText(token, 'token') };
      const signal = untilGone(reply);
      const selection = fromBody(rest, ['rateMax', 'token']);
      sendJson(reply, 200, await deadLetters.redrive(session, selection, { ...options, signal }));
    }),
  );
  app.post(
    `${BASE}/purge`,
    { schema: schemas.purge, bodyLimit },
    guarded(context, 'dead-letters', async (request, reply, session) => {
      const { token = '', ...rest } = jsonBody(request);
      const options = { token: readText(token, 'token'), signal: untilGone(reply) };
      sendJson(reply, 200, await deadLetters.purge(session, fromBody(rest, ['token']), options));
    }),
  );
}

/** Ends long work when its caller is gone. */
function untilGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

/** The letter with its event in the CloudEvents JSON format, and as it was, byte for byte. */
function toJson({ event, ...letter }: DeadLetter) {
  return {
    ...letter,
    event: JSON.parse(encodeJsonEvent(new EventView(event)).toString()) as unknown,
    eventBase64: Buffer.from(event).toString('base64'),
  };
}

function fromQuery(query: Query): DeadLetterSelection {
  const [subscription, cause, ids] = [
    query.text('subscription'),
    query.text('cause'),
    query.texts('id'),
  ];
  return {
    ...(subscription === undefined ? {} : { subscription }),
    ...(cause === undefined ? {} : { cause }),
    ...(ids.length === 0 ? {} : { ids: readIds(ids, 'id') }),
  };
}

function fromBody(
  body: Readonly<Record<string, unknown>>,
  beside: readonly string[],
): DeadLetterSelection {
  const known = ['subscription', 'cause', 'ids', 'all', ...beside];
  const { subscription, cause, ids, all, ...more } = body;
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) {
    throw invalid(unknown.slice(0, 64), `is not a field here; known are ${known.join(', ')}`);
  }
  if (all !== undefined && typeof all !== 'boolean') throw invalid('all', 'must be true or false');
  return {
    ...(subscription === undefined ? {} : { subscription: readText(subscription, 'subscription') }),
    ...(cause === undefined ? {} : { cause: readText(cause, 'cause') }),
    ...(ids === undefined ? {} : { ids: readIds(ids, 'ids') }),
    ...(all === undefined ? {} : { all }),
  };
}

function readText(value: unknown, field: string): string {
  if (typeof value !== 'string') throw invalid(field, 'must be a string');
  return value;
}

function readRate(value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw invalid('rateMax', 'must be a whole number', {
    limit: `0 to ${REDRIVE_RATE_MAX} events/s`,
  });
}

function readIds(value: unknown, field: string): number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > DEAD_LETTER_IDS_MAX) {
    const limit = `1 to ${DEAD_LETTER_IDS_MAX} ids`;
    throw invalid(field, 'must be a list of ids of dead letters', { limit });
  }
  return value.map((id: unknown, index) => readId(id, `${field}[${index}]`));
}

function readId(value: unknown, field: string): number {
  const id = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (Number.isSafeInteger(id) && Number(id) > 0) return Number(id);
  throw invalid(field, 'is not the id of a dead letter, a whole number from 1');
}
