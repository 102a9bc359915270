import { MeshError, unavailable } from '@eventmesh/errors';
import { Action, type Principal } from '@eventmesh/proto-gen/acl';
import { NO_GRANTS, compileGrants, type CompiledGrants } from './acl-grants.ts';

/**
 * What an authenticated caller may do. Every question throws instead of answering
 * - Unavailable, when the acl service has been away longer than the answers may be used, and
 * - Unauthenticated, when the credential has expired or the principal is no longer known.
 */
export interface Session {
  readonly principal: Principal;
  /** Revision of the policy that the answers are of. */
  readonly revision: number;
  /** The credential ends then, milliseconds since the Unix epoch; 0 for never. */
  readonly expiresMs: number;
  /** Aborts when the principal is no longer known: its connections and deliveries must end. */
  readonly ended: AbortSignal;
  canPublish(topic: string): boolean;
  /** Whether a subscription may have this topic filter: every topic it can match is allowed. */
  canSubscribe(filter: string): boolean;
  /** Whether an event of this topic may be delivered; ask for each event, on its own topic. */
  canReceive(topic: string): boolean;
  /** For admin and inspect; `resource` is a name such as `governance`. */
  can(action: Action, resource: string): boolean;
}

/** What the sessions of an authorizer share. */
export interface SessionContext {
  readonly now: () => number;
  /** Longest use of an answer without word from the acl service, in ms. */
  readonly staleMsMax: number;
  /** When the acl service last told its policy revision, in ms; 0 for never. */
  contactMs: number;
  /** The newest policy revision known of. */
  target: number;
  readonly onDecision: ((action: Action, allowed: boolean) => void) | undefined;
}

/** The living grants of one principal, shared by its sessions. */
export class PrincipalGrants {
  readonly principal: Principal;
  readonly #ended = new AbortController();
  #compiled: CompiledGrants = NO_GRANTS;
  #revision = -1;
  /** When these grants were last known to be the current ones for sure. */
  #confirmedMs = 0;

  constructor(principal: Principal) {
    this.principal = principal;
  }

  get compiled(): CompiledGrants {
    return this.#compiled;
  }

  get revision(): number {
    return this.#revision;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Takes over grants unless newer ones are there. */
  apply(grants: Parameters<typeof compileGrants>[0], revision: number, nowMs: number): void {
    if (revision < this.#revision) return;
    if (revision > this.#revision) this.#compiled = compileGrants(grants);
    this.#revision = revision;
    this.#confirmedMs = nowMs;
  }

  /** The store behind the policy began anew: any revision is newer than what is here. */
  forgetRevision(): void {
    this.#revision = -1;
  }

  end(): void {
    this.#compiled = NO_GRANTS;
    this.#ended.abort(
      new MeshError('Unauthenticated', 'the principal is no longer known; authenticate again', {
        reason: 'PRINCIPAL_ENDED',
      }),
    );
  }

  /** The last moment at which these grants were surely current. */
  currentAtMs(context: SessionContext): number {
    // Behind the newest revision, word of a newer one proves nothing about these grants.
    const heardMs = this.#revision >= context.target ? context.contactMs : 0;
    return Math.max(this.#confirmedMs, heardMs);
  }
}

export class LiveSession implements Session {
  readonly expiresMs: number;
  readonly #grants: PrincipalGrants;
  readonly #context: SessionContext;

  constructor(grants: PrincipalGrants, expiresMs: number, context: SessionContext) {
    this.#grants = grants;
    this.expiresMs = expiresMs;
    this.#context = context;
  }

  get principal(): Principal {
    return this.#grants.principal;
  }

  get revision(): number {
    return this.#grants.revision;
  }

  get ended(): AbortSignal {
    return this.#grants.ended;
  }

  canPublish(topic: string): boolean {
    return this.can(Action.PUBLISH, topic);
  }

  canSubscribe(filter: string): boolean {
    return this.can(Action.SUBSCRIBE, filter);
  }

  canReceive(topic: string): boolean {
    return this.can(Action.SUBSCRIBE, topic);
  }

  can(action: Action, resource: string): boolean {
    const problem = this.problem();
    if (problem !== undefined) throw problem;
    const allowed = this.#grants.compiled.allows(action, resource);
    this.#context.onDecision?.(action, allowed);
    return allowed;
  }

  /** Why no question can be answered any more, or undefined. */
  problem(): MeshError | undefined {
    const { ended } = this.#grants;
    if (ended.aborted) return ended.reason as MeshError;
    const nowMs = this.#context.now();
    if (this.expiresMs !== 0 && nowMs >= this.expiresMs) {
      return new MeshError('Unauthenticated', 'the credential has expired; authenticate again', {
        field: 'authorization',
        reason: 'CREDENTIAL_EXPIRED',
      });
    }
    const age = nowMs - this.#grants.currentAtMs(this.#context);
    if (age <= this.#context.staleMsMax) return undefined;
    return unavailable(
      `the acl service has been away for more than ${this.#context.staleMsMax} ms; try again later`,
    );
  }
}
