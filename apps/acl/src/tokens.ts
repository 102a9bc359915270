import { ISSUER_AWAY } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { Clock } from '@eventmesh/kv-api';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import { keySource, type KeySource, type KeySourceOptions } from './jwks.ts';
import { isName, isTenant } from './names.ts';

/** Signatures that only the issuer can make. No HMAC: whoever can check one could forge one. */
export const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

export interface IssuerOptions {
  /** The exact `iss`. */
  readonly issuer: string;
  /** One of these must be in `aud`. */
  readonly audience: readonly string[];
  readonly algorithms: readonly (typeof TOKEN_ALGORITHMS)[number][];
  readonly keys: KeySourceOptions;
  /** Tolerated difference of clocks, in ms, at most 60,000. */
  readonly clockSkewMs: number;
  /** The `typ` that tokens must have, such as `at+jwt`; undefined for any. */
  readonly typ?: string | undefined;
  /** The tenant of all its tokens, or the claim that names it. */
  readonly tenant?: string | undefined;
  readonly tenantClaim?: string | undefined;
  /** Claims as a name or a dotted path (`realm_access.roles`). */
  readonly nameClaim: string;
  readonly rolesClaim: string;
}

export interface TokenIdentity {
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly expiresMs: number;
}

/** Longest token in characters. */
const TOKEN_LENGTH_MAX = 16_384;
const KEY_ID_LENGTH_MAX = 256;
const TOKEN_ROLES_MAX = 64;
/** Headers that name or carry the key, or that we do not understand (RFC 8725 section 3.10). */
const FORBIDDEN_HEADERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip'];

/** Verifies JWTs of the configured issuers (RFC 7519, RFC 8725). */
export class Tokens {
  readonly #issuers: ReadonlyMap<string, { options: IssuerOptions; keys: KeySource }>;
  readonly #clock: Clock;

  constructor(issuers: readonly IssuerOptions[], clock: Clock) {
    this.#clock = clock;
    this.#issuers = new Map(
      issuers.map((options) => [options.issuer, { options, keys: keySource(options.keys) }]),
    );
  }

  get accepted(): boolean {
    return this.#issuers.size > 0;
  }

  /** Loads keys that are in files, so that a missing file is told at start. */
  async start(): Promise<void> {
    for (const { keys } of this.#issuers.values()) await keys.start();
  }

  /**
   * @returns undefined for a token that is not valid, without saying why.
   * @throws MeshError Unavailable when the issuer's keys cannot be had: nobody can tell then.
   */
  async verify(token: string): Promise<TokenIdentity | undefined> {
    if (token.length > TOKEN_LENGTH_MAX) return undefined;
    const issuer = this.#issuerOf(token);
    if (issuer === undefined) return undefined;
    const { options, keys } = issuer;
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys.find, {
        issuer: options.issuer,
        audience: [...options.audience],
        algorithms: [...options.algorithms],
        clockTolerance: options.clockSkewMs / 1000,
        requiredClaims: ['exp', 'iss', 'aud'],
        currentDate: new Date(this.#clock.now()),
        ...(options.typ === undefined ? {} : { typ: options.typ }),
      }));
    } catch (error) {
      if (isKeySourceAway(error)) {
        throw new MeshError(
          'Unavailable',
          'the keys of the token issuer cannot be loaded; try again later',
          { field: 'authorization', reason: ISSUER_AWAY, retryAfterMs: 1000 },
          error,
        );
      }
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
    return identity(options, payload);
  }

  /** Chosen by the unverified `iss`; the verification then insists on it. */
  #issuerOf(token: string) {
    try {
      const header = decodeProtectedHeader(token);
      if (FORBIDDEN_HEADERS.some((name) => Object.hasOwn(header, name))) return undefined;
      const { kid } = header;
      const strange = typeof kid !== 'string' || kid.length > KEY_ID_LENGTH_MAX;
      if (kid !== undefined && strange) return undefined;
      const { iss } = decodeJwt(token);
      return typeof iss === 'string' ? this.#issuers.get(iss) : undefined;
    } catch (error) {
      // Both decoders throw these for what is not a JWT at all.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }
}

function isKeySourceAway(error: unknown): boolean {
  if (error instanceof MeshError) return error.code === 'Unavailable';
  return error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid;
}

function identity(options: IssuerOptions, payload: JWTPayload): TokenIdentity | undefined {
  const { tenantClaim, nameClaim, rolesClaim } = options;
  const tenant = tenantClaim === undefined ? options.tenant : claim(payload, tenantClaim);
  const name = claim(payload, nameClaim);
  const roles = rolesOf(claim(payload, rolesClaim));
  if (typeof tenant !== 'string' || !isTenant(tenant)) return undefined;
  if (typeof name !== 'string' || !isName(name)) return undefined;
  if (roles === undefined) return undefined;
  return { tenant, name, roles, expiresMs: (payload.exp ?? 0) * 1000 };
}

/** A list, or one text with spaces as in OAuth scopes; roles that are not names are no roles. */
function rolesOf(value: unknown): string[] | undefined {
  const list = typeof value === 'string' ? value.split(' ') : (value ?? []);
  if (!Array.isArray(list)) return undefined;
  const names = list.filter((role): role is string => typeof role === 'string' && isName(role));
  return names.length > TOKEN_ROLES_MAX ? undefined : [...new Set(names)];
}

/** Own properties only: a claim called `constructor` is nothing special. */
function claim(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  let at: unknown = payload;
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}
