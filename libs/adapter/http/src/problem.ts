import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import {
  HTTP_STATUS,
  MeshError,
  invalid,
  tooLarge,
  type MeshCode,
  type Reason,
} from '@eventmesh/errors';

/** An error as an HTTP API problem (RFC 9457); every member is safe to show. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Stable number of the mesh's code. */
  readonly code: number;
  readonly reason: string;
  readonly field?: string;
  readonly limit?: string;
  readonly retryAfterMs?: number;
}

const TITLES: Readonly<Record<MeshCode, string>> = Object.freeze({
  InvalidArgument: 'The request is not valid',
  Unauthenticated: 'The credentials are missing or wrong',
  PermissionDenied: 'Not allowed',
  NotFound: 'Not found',
  AlreadyExists: 'Exists already',
  FailedPrecondition: 'Not possible in this state',
  Aborted: 'Lost a race; try again',
  ResourceExhausted: 'A quota or rate is used up',
  PayloadTooLarge: 'Too large',
  DeadlineExceeded: 'Out of time',
  Cancelled: 'Cancelled',
  Unavailable: 'Not available now',
  Unimplemented: 'Not implemented',
  DataLoss: 'Data was lost',
  Internal: 'Internal error',
} satisfies Record<MeshCode, string>);

/** Refusals for which HTTP has a status of its own, finer than the code's. */
const STATUS_BY_REASON: Readonly<Partial<Record<Reason, number>>> = Object.freeze({
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  REQUEST_TIMEOUT: 408,
  UNSUPPORTED_MEDIA_TYPE: 415,
  EXPECTATION_FAILED: 417,
  HEADERS_TOO_LARGE: 431,
});

export const statusOf = (error: MeshError): number =>
  STATUS_BY_REASON[error.reason] ?? HTTP_STATUS[error.code];

export function problemOf(error: MeshError): Problem {
  const { field, limit, retryAfterMs } = error.details;
  return {
    type: `urn:eventmesh:problem:${error.reasonText.toLowerCase().replaceAll('_', '-')}`,
    title: TITLES[error.code],
    status: statusOf(error),
    detail: error.message,
    code: error.number,
    reason: error.reasonText,
    ...(field === undefined ? {} : { field }),
    ...(limit === undefined ? {} : { limit }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** Answers with a problem, its `Retry-After` (429, 503) and `WWW-Authenticate` (401). */
export function sendProblem(reply: FastifyReply, error: MeshError): FastifyReply {
  const problem = problemOf(error);
  reply.code(problem.status).header('content-type', 'application/problem+json');
  if (problem.status === 401) {
    reply.header('www-authenticate', 'Bearer realm="eventmesh", Basic realm="eventmesh"');
  }
  if (problem.status === 429 || problem.status === 503) {
    reply.header(
      'retry-after',
      String(Math.max(1, Math.ceil((problem.retryAfterMs ?? 1000) / 1000))),
    );
  }
  return reply.send(JSON.stringify(problem));
}

export const unsupportedMediaType = (field: string, message: string): MeshError =>
  invalid(field, message, { reason: 'UNSUPPORTED_MEDIA_TYPE' });

interface ServerError {
  readonly code?: string;
  readonly statusCode?: number;
  readonly message?: string;
}

/** Turns what the HTTP server or framework throws into the mesh's error. Total. */
export function fromServerError(thrown: unknown, bodyLimit: number): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const { code, statusCode = 500, message = '' } = (thrown ?? {}) as ServerError;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return tooLarge('body', 'is larger than this call takes', `${bodyLimit} bytes`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return unsupportedMediaType('content-type', 'is not a media type');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return invalid('content-length', 'is not the length of the body');
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return invalid('path', 'is not a well-formed, percent-encoded path');
    default:
      if (statusCode >= 400 && statusCode < 500) return invalid('request', message);
      return MeshError.from(thrown);
  }
}

/** The answer to a request that the parser gave up on (`clientError`), as raw bytes. */
export function rawProblem(code: string | undefined): string {
  const error =
    code === 'HPE_HEADER_OVERFLOW'
      ? invalid('headers', 'are too large', { reason: 'HEADERS_TOO_LARGE', limit: '32768 bytes' })
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? invalid('request', 'did not arrive in time', {
            reason: 'REQUEST_TIMEOUT',
            limit: '10 s for the headers, 30 s in all',
          })
        : invalid('request', 'is not HTTP/1.1');
  return rawAnswer(error);
}

/** A problem as raw bytes, for a connection that has no response object. */
export function rawAnswer(error: MeshError): string {
  const body = JSON.stringify(problemOf(error));
  const status = statusOf(error);
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
    'content-type: application/problem+json\r\nconnection: close\r\n' +
    `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
