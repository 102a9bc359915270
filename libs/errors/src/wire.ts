import type { MeshCode } from './codes.ts';

/** gRPC status numbers (grpc/grpc doc/statuscodes.md). */
export const GRPC_STATUS: Readonly<Record<MeshCode, number>> = Object.freeze({
  InvalidArgument: 3,
  Unauthenticated: 16,
  PermissionDenied: 7,
  NotFound: 5,
  AlreadyExists: 6,
  FailedPrecondition: 9,
  Aborted: 10,
  ResourceExhausted: 8,
  PayloadTooLarge: 8,
  DeadlineExceeded: 4,
  Cancelled: 1,
  Unavailable: 14,
  Unimplemented: 12,
  DataLoss: 15,
  Internal: 13,
} satisfies Record<MeshCode, number>);

/** HTTP status codes (RFC 9110). 499 is what a client that went away would have seen. */
export const HTTP_STATUS: Readonly<Record<MeshCode, number>> = Object.freeze({
  InvalidArgument: 400,
  Unauthenticated: 401,
  PermissionDenied: 403,
  NotFound: 404,
  AlreadyExists: 409,
  FailedPrecondition: 400,
  Aborted: 409,
  ResourceExhausted: 429,
  PayloadTooLarge: 413,
  DeadlineExceeded: 504,
  Cancelled: 499,
  Unavailable: 503,
  Unimplemented: 501,
  DataLoss: 500,
  Internal: 500,
} satisfies Record<MeshCode, number>);

/** The mesh code for a gRPC status that came without our own details (a foreign server). */
export function codeFromGrpcStatus(status: number): MeshCode {
  return FROM_GRPC[status] ?? 'Internal';
}

const FROM_GRPC: Readonly<Record<number, MeshCode>> = Object.freeze({
  1: 'Cancelled',
  2: 'Internal',
  3: 'InvalidArgument',
  4: 'DeadlineExceeded',
  5: 'NotFound',
  6: 'AlreadyExists',
  7: 'PermissionDenied',
  8: 'ResourceExhausted',
  9: 'FailedPrecondition',
  10: 'Aborted',
  11: 'InvalidArgument',
  12: 'Unimplemented',
  13: 'Internal',
  14: 'Unavailable',
  15: 'DataLoss',
  16: 'Unauthenticated',
});
