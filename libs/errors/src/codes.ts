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
}

export const CODE_FACTS: Readonly<Record<MeshCode, CodeFacts>> = Object.freeze({
  InvalidArgument: { number: 40000, retry: 'no' },
  Unauthenticated: { number: 40100, retry: 'no' },
  PermissionDenied: { number: 40300, retry: 'no' },
  NotFound: { number: 40400, retry: 'no' },
  AlreadyExists: { number: 40900, retry: 'no' },
  FailedPrecondition: { number: 41200, retry: 'no' },
  Aborted: { number: 40910, retry: 'yes' },
  ResourceExhausted: { number: 42900, retry: 'later' },
  PayloadTooLarge: { number: 41300, retry: 'no' },
  DeadlineExceeded: { number: 50400, retry: 'yes' },
  Cancelled: { number: 49900, retry: 'no' },
  Unavailable: { number: 50300, retry: 'yes' },
  Unimplemented: { number: 50100, retry: 'no' },
  DataLoss: { number: 50010, retry: 'no' },
  Internal: { number: 50000, retry: 'no' },
} satisfies Record<MeshCode, CodeFacts>);
