import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PublishItem, Session } from '@eventmesh/adapter-api';
import { EventView, attributeText, encodeHeaderValue, encodeJsonEvent } from '@eventmesh/event';
import type { HttpContext } from '../context.ts';

/** How long a request waits for its reply by default and at most, in ms. */
export const REQUEST_MS = 30_000;
export const REQUEST_MS_MAX = 300_000;

/** Publishes a request and answers with its reply, in the mode that the client accepts. */
export async function answerRequest(
  { port }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  session: Session,
  item: PublishItem,
  timeoutMs: number,
): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  reply.raw.once('close', leave);
  try {
    const event = await port.request(session, item, { timeoutMs, signal: gone.signal });
    sendEvent(reply, new EventView(event), request.headers.accept ?? '');
  } finally {
    reply.raw.removeListener('close', leave);
  }
}

const PROTOBUF = 'application/cloudevents+protobuf';
const JSON_FORMAT = 'application/cloudevents+json';

function sendEvent(reply: FastifyReply, event: EventView, accept: string): void {
  if (accept.includes(JSON_FORMAT)) {
    respond(reply, { 'content-type': `${JSON_FORMAT}; charset=utf-8` }, encodeJsonEvent(event));
  } else if (accept.includes(PROTOBUF)) {
    respond(reply, { 'content-type': PROTOBUF }, event.bytes);
  } else {
    respond(reply, binaryHeaders(event), event.data?.bytes ?? NO_BYTES);
  }
}

/** Binary mode: attributes as `ce-` headers, data as the body (HTTP binding 1.0.2, 3.1). */
function binaryHeaders(event: EventView): Record<string, string> {
  const headers: Record<string, string> = {
    'ce-specversion': event.specVersion,
    'ce-id': encodeHeaderValue(event.id),
    'ce-source': encodeHeaderValue(event.source),
    'ce-type': encodeHeaderValue(event.type),
  };
  for (const [name, value] of event.attributes) {
    const text = attributeText(value);
    if (name !== 'datacontenttype') headers[`ce-${name}`] = encodeHeaderValue(text);
    // A media type has blanks and quotes, which only the encoding of the ce- headers minds.
    else headers['content-type'] = PRINTABLE.test(text) ? text : encodeHeaderValue(text);
  }
  return headers;
}

const PRINTABLE = /^[\u0020-\u007e]*$/;
const NO_BYTES = new Uint8Array(0);

/** Straight to the response: fastify would add a content type of its own to one that has none. */
function respond(reply: FastifyReply, headers: Record<string, string>, body: Uint8Array): void {
  reply.hijack();
  reply.raw.writeHead(200, { ...headers, 'content-length': body.length }).end(body);
}
