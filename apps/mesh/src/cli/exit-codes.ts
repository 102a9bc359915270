import type { MeshCode } from '@eventmesh/errors';

/** How the command ends, in the numbers of sysexits(3) where it has one. */
export const EXIT = Object.freeze({
  ok: 0,
  failed: 1,
  usage: 64,
  notFound: 66,
  unavailable: 69,
  retryLater: 75,
  permission: 77,
});

export const EXIT_TEXTS: Readonly<Record<keyof typeof EXIT, string>> = Object.freeze({
  ok: 'done',
  failed: 'failed, for a reason that is printed',
  usage: 'bad usage, input or configuration',
  notFound: 'what was named does not exist',
  unavailable: 'the mesh, or a part of it, cannot be reached',
  retryLater: 'refused or too slow this time; the same may succeed later',
  permission: 'not authenticated, or not allowed',
});

const BY_CODE: Readonly<Record<MeshCode, number>> = Object.freeze({
  InvalidArgument: EXIT.usage,
  Unauthenticated: EXIT.permission,
  PermissionDenied: EXIT.permission,
  NotFound: EXIT.notFound,
  AlreadyExists: EXIT.failed,
  FailedPrecondition: EXIT.failed,
  Aborted: EXIT.retryLater,
  ResourceExhausted: EXIT.retryLater,
  PayloadTooLarge: EXIT.usage,
  DeadlineExceeded: EXIT.retryLater,
  Cancelled: EXIT.failed,
  Unavailable: EXIT.unavailable,
  Unimplemented: EXIT.failed,
  DataLoss: EXIT.failed,
  Internal: EXIT.failed,
} satisfies Record<MeshCode, number>);

export const exitCodeOf = (code: MeshCode): number => BY_CODE[code];
