import type { Reason } from './reasons.ts';

/**
 * The closed set of reasons for which the mesh refuses or fails an operation. A code is chosen for
 * what the caller can do about it; each has one row in every wire table (`wire.ts`), so that adding
 * one does not compile until every protocol has an answer.
 */
export const MESH_CODES = [
  'InvalidArgument',
  'Unauthenticated',
  'PermissionDenied',
  'NotFound',
  'AlreadyExists',
  'FailedPrecondition',
  'Aborted',
  'ResourceExhausted',
  'PayloadTooLarge',
  'DeadlineExceeded',
  'Cancelled',
  'Unavailable',
  'Unimplemented',
  'DataLoss',
  'Internal',
] as const;

export type MeshCode = (typeof MESH_CODES)[number];

/** Whether repeating the same operation may succeed: `later` asks for a pause first. */
export type Retry = 'no' | 'yes' | 'later';

interface CodeFacts {
  /** Stable number of the code; the text may change, the number never does. */
  readonly number: number;
  readonly retry: Retry;
  /** Of errors of this code that give no finer one. */
  readonly reason: Reason;
}

export const CODE_FACTS: Readonly<Record<MeshCode, CodeFacts>> = Object.freeze({
  InvalidArgument: { number: 40000, retry: 'no', reason: 'INVALID_ARGUMENT' },
  Unauthenticated: { number: 40100, retry: 'no', reason: 'UNAUTHENTICATED' },
  PermissionDenied: { number: 40300, retry: 'no', reason: 'PERMISSION_DENIED' },
  NotFound: { number: 40400, retry: 'no', reason: 'NOT_FOUND' },
  AlreadyExists: { number: 40900, retry: 'no', reason: 'ALREADY_EXISTS' },
  FailedPrecondition: { number: 41200, retry: 'no', reason: 'FAILED_PRECONDITION' },
  Aborted: { number: 40910, retry: 'yes', reason: 'ABORTED' },
  ResourceExhausted: { number: 42900, retry: 'later', reason: 'RESOURCE_EXHAUSTED' },
  PayloadTooLarge: { number: 41300, retry: 'no', reason: 'PAYLOAD_TOO_LARGE' },
  DeadlineExceeded: { number: 50400, retry: 'yes', reason: 'DEADLINE_EXCEEDED' },
  Cancelled: { number: 49900, retry: 'no', reason: 'CANCELLED' },
  Unavailable: { number: 50300, retry: 'yes', reason: 'UNAVAILABLE' },
  Unimplemented: { number: 50100, retry: 'no', reason: 'UNIMPLEMENTED' },
  DataLoss: { number: 50010, retry: 'no', reason: 'DATA_LOSS' },
  Internal: { number: 50000, retry: 'no', reason: 'INTERNAL' },
} satisfies Record<MeshCode, CodeFacts>);
