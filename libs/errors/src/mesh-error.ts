import { CODE_FACTS, type MeshCode } from './codes.ts';
import { isReason, type Reason } from './reasons.ts';

/** What may be told about an error besides its code; every part is safe to show to the caller. */
export interface ErrorDetails {
  /** The input at fault, as the caller spells it: `subscription.filters[0]`, `ce-id`. */
  readonly field?: string;
  /** The bound that was crossed, with its unit: `1048576 bytes`. */
  readonly limit?: string;
  /** Why, within the code. Default: the reason of the code. */
  readonly reason?: Reason;
  /** The reason in the words of a later version of the mesh, when it is none that is known here. */
  readonly unknownReason?: string;
  /** How long to wait before a retry, in milliseconds. */
  readonly retryAfterMs?: number;
  /** More facts as plain strings. Never a secret, never another tenant's data. */
  readonly facts?: Readonly<Record<string, string>>;
}

/**
 * The one error of the mesh. Its message is for people and names the field, the limit and the way
 * out; `code` and `details` are for programs. `cause` is logged and never sent to a caller.
 */
export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly code: MeshCode;
  readonly details: ErrorDetails;

  constructor(code: MeshCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  /** The stable number of the code (`40400`). */
  get number(): number {
    return CODE_FACTS[this.code].number;
  }

  /** Whether the same operation may succeed when repeated. */
  get retryable(): boolean {
    return CODE_FACTS[this.code].retry !== 'no';
  }

  /** For programs: why. Of a reason that is not known here, the one of the code. */
  get reason(): Reason {
    return this.details.reason ?? CODE_FACTS[this.code].reason;
  }

  /** For people and the wire: the reason as it was given, by a later version of the mesh too. */
  get reasonText(): string {
    return this.details.unknownReason ?? this.reason;
  }

  /** Turns anything thrown into a MeshError. Total: what is unknown becomes Internal. */
  static from(thrown: unknown): MeshError {
    if (thrown instanceof MeshError) return thrown;
    // By name, not by class: DOMException is not an Error in every realm.
    const name = (thrown as { name?: unknown } | null | undefined)?.name;
    if (name === 'AbortError') {
      return new MeshError('Cancelled', 'the operation was cancelled', {}, thrown);
    }
    if (name === 'TimeoutError') {
      return new MeshError('DeadlineExceeded', 'the operation ran out of time', {}, thrown);
    }
    return new MeshError('Internal', 'an internal error occurred; its cause is logged', {}, thrown);
  }
}

/** The details of a reason that came over the wire; empty when none was given. */
export function readReason(word: string): Pick<ErrorDetails, 'reason' | 'unknownReason'> {
  if (isReason(word)) return { reason: word };
  return word === '' ? {} : { unknownReason: word };
}

/** Shorthand constructors for the codes that validation throws most. */
export const invalid = (field: string, message: string, details: ErrorDetails = {}): MeshError =>
  new MeshError('InvalidArgument', `${field}: ${message}`, { field, ...details });

export const tooLarge = (field: string, message: string, limit: string): MeshError =>
  new MeshError('PayloadTooLarge', `${field}: ${message}`, { field, limit });

export const unavailable = (message: string, cause?: unknown, retryAfterMs = 1000): MeshError =>
  new MeshError('Unavailable', message, { retryAfterMs }, cause);
