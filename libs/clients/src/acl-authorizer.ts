import { createHmac, randomBytes } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { MeshError, unavailable } from '@eventmesh/errors';
import {
  PrincipalSchema,
  type AclService,
  type Action,
  type AuthenticateResponse,
  type Principal,
} from '@eventmesh/proto-gen/acl';
import type { Client } from '@eventmesh/rpc';
import { Backoff, pause } from '@eventmesh/time';
import type { Credential } from './acl-credential.ts';
import { NO_GRANTS, compileGrants, type CompiledGrants } from './acl-grants.ts';
import { LiveSession, PrincipalGrants, type Session, type SessionContext } from './acl-session.ts';

export interface AuthorizerOptions {
  /**
   * How long a verified credential and the grants of a session may be used without word from the
   * acl service, in ms. Default 60,000, which is also the most.
   */
  readonly cacheMs?: number;
  /** Most credentials remembered; the least recently used goes first. Default 10,000. */
  readonly credentialsMax?: number;
  /** Deadline of a call to the acl service, in ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** Milliseconds since the Unix epoch. Default: the system's. */
  readonly now?: () => number;
  /** Told of every failure that is survived: the watch was lost, a refresh did not go through. */
  readonly onError?: (error: MeshError) => void;
  readonly observer?: AuthorizerObserver;
}

/** For metrics; the callbacks must not throw. */
export interface AuthorizerObserver {
  decision?(action: Action, allowed: boolean): void;
  /**
   * `hit`: answered from memory; `verified`, `refused`: by the acl service; `reused`: known, while
   * the acl service is away; `unavailable`: not known, while it is away.
   */
  credential?(outcome: 'hit' | 'verified' | 'refused' | 'reused' | 'unavailable'): void;
}

export interface Authorizer {
  /**
   * The session of a credential. @throws MeshError Unauthenticated (wrong, expired, unknown),
   * Unavailable (not known here and the acl service does not answer: fails closed).
   */
  authenticate(credential: Credential): Promise<Session>;
  /**
   * The session of a principal that authenticated earlier, such as the owner of a durable
   * subscription after a restart. @throws MeshError Unauthenticated when it is no longer known.
   */
  sessionFor(principal: MessageInitShape<typeof PrincipalSchema>): Promise<Session>;
  /**
   * What a principal might do at a revision of the past: nothing when it was not known then;
   * undefined when that revision is no longer kept.
   *
   * @throws MeshError Unavailable when the acl service does not answer.
   */
  grantsAt(
    principal: MessageInitShape<typeof PrincipalSchema>,
    revision: number,
  ): Promise<CompiledGrants | undefined>;
  /** The newest policy revision known of. */
  readonly revision: number;
  /** How long ago the acl service was last heard, in ms; Infinity for never. */
  readonly staleMs: number;
  /** How many credentials are remembered. */
  readonly credentials: number;
  /** Stops following the policy; sessions end with their time. May be called twice. */
  close(): Promise<void>;
}

/** Follows the policy at once; needs `close` at the end. */
export function createAuthorizer(
  client: Client<typeof AclService>,
  options: AuthorizerOptions = {},
): Authorizer {
  return new PolicyAuthorizer(client, options);
}

interface Known {
  readonly session: LiveSession;
  readonly untilMs: number;
  /** Policy revision at which the credential was verified. */
  readonly revision: number;
}

/** Reason of the acl's Unavailable when it is the issuer of the token that cannot be reached. */
export const ISSUER_AWAY = 'ISSUER_AWAY';
/** Reason of the acl's NotFound when a revision is no longer kept, or not known to it yet. */
export const REVISION_NOT_KEPT = 'REVISION_NOT_KEPT';
const CACHE_MS_MAX = 60_000;
/** Refreshes in flight at a time. */
const REFRESH_WIDTH = 16;
/** After a call that failed, known credentials are not tried again for this long. */
const AWAY_MS = 1000;
/** A smaller revision told for this long is a new store and not a replica that lags. */
const RESET_MS = 5000;

class PolicyAuthorizer implements Authorizer {
  readonly #client: Client<typeof AclService>;
  readonly #options: AuthorizerOptions;
  readonly #context: SessionContext;
  readonly #cacheMs: number;
  readonly #timeoutMs: number;
  // Under a key of this process, so that neither memory nor a dump of it holds a secret's hash
  // that could be tried offline elsewhere.
  readonly #hmacKey = randomBytes(32);
  readonly #known = new Map<string, Known>();
  readonly #pending = new Map<string, Promise<Session>>();
  // Sessions hold their grants; when the last one is gone there is nothing to keep fresh.
  readonly #principals = new Map<string, WeakRef<PrincipalGrants>>();
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #refreshing: Promise<void> | undefined;
  #awayUntilMs = 0;
  #lowerSinceMs: number | undefined;
  #sweepAt = 1024;

  constructor(client: Client<typeof AclService>, options: AuthorizerOptions) {
    this.#client = client;
    this.#options = options;
    this.#cacheMs = Math.min(options.cacheMs ?? CACHE_MS_MAX, CACHE_MS_MAX);
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#context = {
      now: options.now ?? Date.now,
      staleMsMax: this.#cacheMs,
      contactMs: 0,
      target: 0,
      onDecision: options.observer?.decision?.bind(options.observer),
    };
    this.#following = this.#follow();
  }

  get revision(): number {
    return this.#context.target;
  }

  get staleMs(): number {
    const { contactMs, now } = this.#context;
    return contactMs === 0 ? Infinity : now() - contactMs;
  }

  get credentials(): number {
    return this.#known.size;
  }

  authenticate(credential: Credential): Promise<Session> {
    const id = this.#hmac(credential);
    const known = this.#known.get(id);
    if (known !== undefined) {
      this.#known.delete(id);
      this.#known.set(id, known);
      const nowMs = this.#context.now();
      const usable = known.session.problem() === undefined;
      if (usable && nowMs < known.untilMs && known.revision >= this.#context.target) {
        this.#options.observer?.credential?.('hit');
        return Promise.resolve(known.session);
      }
      if (usable && nowMs < this.#awayUntilMs) {
        this.#options.observer?.credential?.('reused');
        return Promise.resolve(known.session);
      }
    }
    let pending = this.#pending.get(id);
    if (pending === undefined) {
      pending = this.#verify(id, credential).finally(() => this.#pending.delete(id));
      this.#pending.set(id, pending);
    }
    return pending;
  }

  async sessionFor(init: MessageInitShape<typeof PrincipalSchema>): Promise<Session> {
    const principal = create(PrincipalSchema, init);
    const live = this.#live(principal);
    if (live !== undefined) {
      const session = new LiveSession(live, 0, this.#context);
      if (session.problem() === undefined) return session;
    }
    const grants = live ?? new PrincipalGrants(principal);
    try {
      await this.#refreshOne(grants);
    } catch (error) {
      throw failClosed(error);
    }
    if (grants.ended.aborted) throw grants.ended.reason;
    return new LiveSession(this.#keep(grants), 0, this.#context);
  }

  async grantsAt(
    principal: MessageInitShape<typeof PrincipalSchema>,
    revision: number,
  ): Promise<CompiledGrants | undefined> {
    try {
      const { grants, known } = await this.#client.effectiveGrants(
        { principal, atRevision: BigInt(revision) },
        { timeoutMs: this.#timeoutMs, idempotent: true },
      );
      return known ? compileGrants(grants) : NO_GRANTS;
    } catch (error) {
      if (MeshError.from(error).reason === REVISION_NOT_KEPT) return undefined;
      throw failClosed(error);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
    await this.#refreshing;
  }

  async #verify(id: string, credential: Credential): Promise<Session> {
    const { observer } = this.#options;
    const known = this.#known.get(id);
    let response: AuthenticateResponse;
    try {
      response = await this.#client.authenticate(
        { credential },
        { timeoutMs: this.#timeoutMs, idempotent: true },
      );
    } catch (thrown) {
      const error = failClosed(thrown);
      if (error.code === 'Unavailable') {
        // When only an issuer is away, acl does answer, and must be asked about everybody else.
        if (error.reason !== ISSUER_AWAY) this.#awayUntilMs = this.#context.now() + AWAY_MS;
        if (known !== undefined && known.session.problem() === undefined) {
          observer?.credential?.('reused');
          return known.session;
        }
        observer?.credential?.('unavailable');
      } else {
        this.#known.delete(id);
        observer?.credential?.('refused');
      }
      throw error;
    }
    observer?.credential?.('verified');
    return this.#remember(id, response);
  }

  #remember(id: string, response: AuthenticateResponse): Session {
    const { principal, grants, revision, expiresMs, cacheMs } = response;
    if (principal === undefined) {
      throw unavailable('the acl service answered without a principal');
    }
    const nowMs = this.#context.now();
    const live = this.#live(principal) ?? new PrincipalGrants(principal);
    live.apply(grants, Number(revision), nowMs);
    const session = new LiveSession(this.#keep(live), Number(expiresMs), this.#context);
    const untilMs = nowMs + Math.min(this.#cacheMs, Number(cacheMs));
    this.#known.delete(id);
    this.#known.set(id, { session, untilMs, revision: Number(revision) });
    if (this.#known.size > (this.#options.credentialsMax ?? 10_000)) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    return session;
  }

  #hmac({ credential }: Credential): string {
    const parts =
      credential?.case === 'password'
        ? ['password', credential.value.user, credential.value.password]
        : [credential?.case, credential?.value];
    return createHmac('sha256', this.#hmacKey).update(JSON.stringify(parts)).digest('base64');
  }

  #live(principal: Principal): PrincipalGrants | undefined {
    const live = this.#principals.get(principalKey(principal))?.deref();
    return live?.ended.aborted === true ? undefined : live;
  }

  #keep(grants: PrincipalGrants): PrincipalGrants {
    this.#principals.set(principalKey(grants.principal), new WeakRef(grants));
    if (this.#principals.size >= this.#sweepAt) {
      for (const [key, ref] of this.#principals) {
        if (ref.deref() === undefined) this.#principals.delete(key);
      }
      this.#sweepAt = Math.max(1024, this.#principals.size * 2);
    }
    return grants;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff({ baseMs: 50, maxMs: 1600 });
    while (!signal.aborted) {
      try {
        for await (const { revision } of this.#client.watchPolicy({}, { signal })) {
          backoff.reset();
          this.#heard(Number(revision));
        }
      } catch (error) {
        if (!signal.aborted) this.#options.onError?.(MeshError.from(error));
      }
      await pause(backoff.nextMs(), signal);
    }
  }

  #heard(revision: number): void {
    const context = this.#context;
    const nowMs = context.now();
    if (revision < context.target) {
      this.#lowerSinceMs ??= nowMs;
      if (nowMs - this.#lowerSinceMs < RESET_MS) return;
      for (const ref of this.#principals.values()) ref.deref()?.forgetRevision();
      this.#known.clear();
    }
    this.#lowerSinceMs = undefined;
    context.contactMs = nowMs;
    context.target = revision;
    this.#startRefresh();
  }

  #startRefresh(): void {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
      // A revision may have been heard after the last look and before this line.
      if (!this.#closing.signal.aborted && this.#behind().length > 0) this.#startRefresh();
    });
  }

  /** Brings every living session to the newest revision; repeats until none is behind. */
  async #refresh(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff({ baseMs: 20, maxMs: 1280 });
    while (!signal.aborted) {
      const behind = this.#behind();
      if (behind.length === 0) return;
      const work = behind.values();
      const worker = async () => {
        for (const grants of work) {
          if (signal.aborted) return;
          try {
            await this.#refreshOne(grants);
          } catch (error) {
            this.#options.onError?.(MeshError.from(error));
          }
        }
      };
      await Promise.all(Array.from({ length: REFRESH_WIDTH }, worker));
      if (this.#behind().length > 0) await pause(backoff.nextMs(), signal);
    }
  }

  #behind(): PrincipalGrants[] {
    const { target } = this.#context;
    return [...this.#principals.values()]
      .map((ref) => ref.deref())
      .filter((live) => live !== undefined)
      .filter((live) => live.revision < target && !live.ended.aborted);
  }

  async #refreshOne(live: PrincipalGrants): Promise<void> {
    const { grants, revision, known } = await this.#client.effectiveGrants(
      { principal: live.principal },
      { timeoutMs: this.#timeoutMs, idempotent: true },
    );
    // A replica that lags may not know a principal yet, and must not end one for it.
    if (Number(revision) < live.revision) return;
    if (known) live.apply(grants, Number(revision), this.#context.now());
    else live.end();
  }
}

const principalKey = ({ tenant, kind, name, roles }: Principal): string =>
  JSON.stringify([tenant, kind, name, [...roles].sort()]);

/** Only a plain refusal says something about the credential; all else means "cannot tell". */
function failClosed(thrown: unknown): MeshError {
  const error = MeshError.from(thrown);
  if (['Unauthenticated', 'ResourceExhausted', 'Cancelled'].includes(error.code)) return error;
  if (error.reason === ISSUER_AWAY) return error;
  return unavailable('the acl service does not answer; only known callers are served', error);
}
