import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, type Any } from '@bufbuild/protobuf/wkt';
import {
  CODE_FACTS,
  GRPC_STATUS,
  MESH_CODES,
  MeshError,
  codeFromGrpcStatus,
  readReason,
  type ErrorDetails,
  type MeshCode,
} from '@eventmesh/errors';
import type { Failure } from '@eventmesh/proto-gen/event';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
  StatusSchema,
} from '@eventmesh/proto-gen/rpc';
import { createRegistry } from '@bufbuild/protobuf';
import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';

/** ErrorInfo.domain of every error the mesh makes. */
export const ERROR_DOMAIN = 'eventmesh';
const DETAILS_KEY = 'grpc-status-details-bin';
const REGISTRY = createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema);

/** Within a filter the caller gives names of its own, which stay as they are. */
const OWN_NAMES = /^filters\b/;

/** A field as a caller over gRPC has written it: `expires_after_ms` of the core's `expiresAfterMs`. */
const snakeCase = (field: string): string =>
  OWN_NAMES.test(field)
    ? field
    : field.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Field and message by the names of the protocol; the message of most errors begins with the field. */
function asWritten({ details, message }: MeshError): { field?: string; message: string } {
  if (details.field === undefined) return { message };
  const field = snakeCase(details.field);
  const named = message.startsWith(`${details.field}:`);
  return { field, message: named ? field + message.slice(details.field.length) : message };
}

/** A gRPC status with google.rpc details: ErrorInfo, BadRequest, RetryInfo. */
export function toStatus(error: MeshError): StatusObject {
  const { limit, retryAfterMs, facts } = error.details;
  const { field, message } = asWritten(error);
  const details: Any[] = [
    anyPack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, {
        reason: error.reasonText,
        domain: ERROR_DOMAIN,
        metadata: {
          code: String(error.number),
          ...(limit === undefined ? {} : { limit }),
          ...facts,
        },
      }),
    ),
  ];
  if (field !== undefined) {
    const violation = { field, description: message };
    details.push(
      anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [violation] })),
    );
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = {
      seconds: BigInt(Math.floor(retryAfterMs / 1000)),
      nanos: (retryAfterMs % 1000) * 1_000_000,
    };
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  const code = GRPC_STATUS[error.code];
  const metadata = new Metadata();
  const status = create(StatusSchema, { code, message, details });
  metadata.set(DETAILS_KEY, Buffer.from(toBinary(StatusSchema, status)));
  return { code, details: message, metadata };
}

/** Whether a status says more than code and text already. */
export const hasDetails = (metadata: Metadata | null | undefined): boolean =>
  (metadata?.get(DETAILS_KEY).length ?? 0) > 0;

/** The MeshError that a failed call means; total. */
export function fromServiceError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const error = thrown as Partial<ServiceError>;
  if (typeof error.code !== 'number') return MeshError.from(thrown);
  const details = readDetails(error.metadata);
  const code = details.code ?? codeFromGrpcStatus(error.code);
  return new MeshError(code, error.details ?? error.message ?? code, details.details, thrown);
}

function readDetails(metadata: Metadata | undefined): { code?: MeshCode; details: ErrorDetails } {
  const bytes = metadata?.get(DETAILS_KEY)[0];
  if (!(bytes instanceof Buffer)) return { details: {} };
  let code: MeshCode | undefined;
  let details: ErrorDetails = {};
  for (const any of fromBinary(StatusSchema, bytes).details) {
    const message = anyUnpack(any, REGISTRY);
    if (message?.$typeName === 'google.rpc.ErrorInfo') {
      const info = message as unknown as { reason: string; metadata: Record<string, string> };
      const { code: number, limit, ...facts } = info.metadata;
      code = codeFromNumber(Number(number));
      details = {
        ...details,
        ...readReason(info.reason),
        facts,
        ...(limit === undefined ? {} : { limit }),
      };
    } else if (message?.$typeName === 'google.rpc.BadRequest') {
      const bad = message as unknown as { fieldViolations: { field: string }[] };
      const field = bad.fieldViolations[0]?.field;
      if (field !== undefined) details = { ...details, field };
    } else if (message?.$typeName === 'google.rpc.RetryInfo') {
      const info = message as unknown as { retryDelay?: { seconds: bigint; nanos: number } };
      const delay = info.retryDelay;
      const ms = Number(delay?.seconds ?? 0n) * 1000 + (delay?.nanos ?? 0) / 1_000_000;
      details = { ...details, retryAfterMs: ms };
    }
  }
  return code === undefined ? { details } : { code, details };
}

const codeFromNumber = (number: number): MeshCode | undefined =>
  MESH_CODES.find((code) => CODE_FACTS[code].number === number);

/** The error as a part of a bigger answer. */
export function toFailure(error: MeshError): Omit<Failure, '$typeName' | '$unknown'> {
  const { field = '', message } = asWritten(error);
  return {
    status: GRPC_STATUS[error.code],
    code: error.number,
    reason: error.reasonText,
    message,
    field,
    limit: error.details.limit ?? '',
    retryAfterMs: BigInt(Math.round(error.details.retryAfterMs ?? 0)),
    retryable: error.retryable,
    facts: { ...error.details.facts },
  };
}

export function fromFailure(failure: Failure): MeshError {
  const code = codeFromNumber(failure.code) ?? codeFromGrpcStatus(failure.status);
  return new MeshError(code, failure.message, {
    ...readReason(failure.reason),
    facts: failure.facts,
    ...(failure.field === '' ? {} : { field: failure.field }),
    ...(failure.limit === '' ? {} : { limit: failure.limit }),
    ...(failure.retryAfterMs === 0n ? {} : { retryAfterMs: Number(failure.retryAfterMs) }),
  });
}
