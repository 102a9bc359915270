import { randomUUID } from 'node:crypto';
import { MeshError, invalid } from '@eventmesh/errors';
import {
  charset,
  decodeHeaderValue,
  decodeJsonBatch,
  decodeJsonEvent,
  encodeEvent,
  mediaType,
  parseTimestamp,
  type AttributeValue,
} from '@eventmesh/event';
import type { Principal } from '@eventmesh/adapter-api';
import { SERVER_LIMITS } from './options.ts';
import { unsupportedMediaType } from './problem.ts';

/** The events of a request as protobuf; a faulty one of a batch is its error. */
export type RequestEvents = (
  | { readonly kind: 'one'; readonly event: Buffer; readonly binary: boolean }
  | { readonly kind: 'batch'; readonly events: readonly (Buffer | MeshError)[] }
) & {
  /** The header of that name. */
  readonly traceparent: string | undefined;
};

const CE = 'ce-';

/**
 * Reads the event or events of a request in any mode of the CloudEvents HTTP binding 1.0.2. A body
 * without CloudEvents headers becomes an event of its own.
 *
 * @throws MeshError that names the header or attribute.
 */
export function readRequestEvents(
  rawHeaders: readonly string[],
  body: Buffer,
  principal: Principal,
  batchEventsMax: number,
): RequestEvents {
  const headers = scanHeaders(rawHeaders);
  const { contentType, traceparent } = headers;
  const type = contentType === undefined ? '' : mediaType(contentType);
  if (!type.startsWith('application/cloudevents')) {
    const event =
      headers.attributes.length > 0
        ? binaryEvent(headers, body)
        : plainEvent(contentType, body, principal);
    return { kind: 'one', event, binary: true, traceparent };
  }
  const encoding = charset(contentType ?? '');
  if (encoding !== undefined && encoding !== 'utf-8' && encoding !== 'utf8') {
    throw unsupportedMediaType('content-type', `charset ${encoding.slice(0, 32)} is not UTF-8`);
  }
  switch (type) {
    case 'application/cloudevents+json':
      return { kind: 'one', event: decodeJsonEvent(body), binary: false, traceparent };
    case 'application/cloudevents+protobuf':
      return { kind: 'one', event: body, binary: false, traceparent };
    case 'application/cloudevents-batch+json': {
      const limits = { membersMax: 96, eventsMax: batchEventsMax };
      return { kind: 'batch', events: decodeJsonBatch(body, limits), traceparent };
    }
    default:
      throw unsupportedMediaType(
        'content-type',
        'this event format is not known; use application/cloudevents+json, ' +
          'application/cloudevents-batch+json or application/cloudevents+protobuf',
      );
  }
}

interface ScannedHeaders {
  readonly contentType: string | undefined;
  readonly traceparent: string | undefined;
  /** Attribute name and raw value, in order. */
  readonly attributes: readonly (readonly [string, string])[];
}

/** One pass over the headers as they came; Node's own object joins and drops repeated ones. */
function scanHeaders(raw: readonly string[]): ScannedHeaders {
  if (raw.length > 2 * SERVER_LIMITS.headersMax) {
    throw invalid('headers', 'there are too many', {
      reason: 'HEADERS_TOO_LARGE',
      limit: `${SERVER_LIMITS.headersMax} headers`,
    });
  }
  let contentType: string | undefined;
  let traceparent: string | undefined;
  const attributes: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    const value = raw[i + 1] ?? '';
    if (name.startsWith(CE)) {
      const attribute = name.slice(CE.length);
      if (attributes.some(([other]) => other === attribute)) throw invalid(name, 'is there twice');
      attributes.push([attribute, value]);
    } else if (name === 'content-type') {
      if (contentType !== undefined) throw invalid(name, 'is there twice');
      contentType = value;
    } else if (name === 'traceparent') traceparent = value;
    else if (name.startsWith('eventmesh-')) {
      throw invalid(name, 'headers that start with "eventmesh-" belong to the mesh');
    } else if (name === 'content-encoding' && value.toLowerCase() !== 'identity') {
      throw unsupportedMediaType(name, 'compressed bodies are not taken');
    }
  }
  return { contentType, traceparent, attributes };
}

/** Binary mode: attributes from `ce-` headers, data is the body (HTTP binding, 3.1). */
function binaryEvent(headers: ScannedHeaders, body: Buffer): Buffer {
  const required = { id: '', source: '', type: '', specversion: '' };
  const attributes: [string, AttributeValue][] = [];
  for (const [name, raw] of headers.attributes) {
    const value = decodeHeaderValue(raw, CE + name);
    if (Object.hasOwn(required, name)) required[name as keyof typeof required] = value;
    else if (name === 'time') attributes.push([name, parseTimestamp(value, 'ce-time')]);
    else if (name === 'datacontenttype') {
      throw invalid(
        'ce-datacontenttype',
        'must not be there; content-type is (HTTP binding, 3.1.1)',
      );
    } else attributes.push([name, { kind: 'string', value }]);
  }
  const { id, source, type, specversion: specVersion } = required;
  return withBody({ id, source, type, specVersion }, attributes, headers.contentType, body);
}

/** A message that is no CloudEvent becomes one; its bytes stay as they are. */
function plainEvent(contentType: string | undefined, body: Buffer, principal: Principal): Buffer {
  const source = `/tenants/${encodeURIComponent(principal.tenant)}/${principal.kind}/${encodeURIComponent(principal.name)}`;
  const head = { id: randomUUID(), source, type: 'eventmesh.message', specVersion: '1.0' };
  return withBody(head, [], contentType, body);
}

function withBody(
  head: { id: string; source: string; type: string; specVersion: string },
  attributes: [string, AttributeValue][],
  contentType: string | undefined,
  body: Buffer,
): Buffer {
  if (contentType !== undefined && contentType !== '') {
    const value = decodeHeaderValue(contentType, 'content-type');
    attributes.push(['datacontenttype', { kind: 'string', value }]);
  }
  const data = body.length === 0 ? {} : { data: { kind: 'binary' as const, bytes: body } };
  return encodeEvent({ ...head, attributes, ...data });
}

/** Tells of a fault in an attribute by the header that carried it. */
export function asHeaderFault(error: MeshError): MeshError {
  const { field } = error.details;
  if (error.code !== 'InvalidArgument' || field === undefined || !/^[a-z0-9]+$/.test(field)) {
    return error;
  }
  if (field === 'topic' || field === 'event' || field === 'data' || field === 'protobuf')
    return error;
  const header = field === 'datacontenttype' ? 'content-type' : CE + field;
  return new MeshError(error.code, error.message.replace(field, header), {
    ...error.details,
    field: header,
  });
}
