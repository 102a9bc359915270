import type { MessageInitShape } from '@bufbuild/protobuf';
import { subjectWord } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { Clock } from '@eventmesh/kv-api';
import { Principal_Kind as Kind, type CredentialSchema } from '@eventmesh/proto-gen/acl';
import { verifyApiKey } from './api-keys.ts';
import { isPast } from './changes.ts';
import type { Directory } from './directory.ts';
import { DEFAULT_TENANT, isName, isTenant } from './names.ts';
import type { Asker } from './policy.ts';
import type { Rights } from './rights.ts';
import type { Tokens } from './tokens.ts';
import type { VerifiedPasswords } from './verified-passwords.ts';

/** Somebody known: what the policy knows them as, and what callers see. */
export interface Identity extends Asker {
  readonly kind: Kind;
  readonly name: string;
  /** End of the credential, ms since the Unix epoch; 0 for never. */
  readonly expiresMs: number;
}

export class Authenticator {
  readonly #directory: Directory;
  readonly #passwords: VerifiedPasswords;
  readonly #tokens: Tokens;
  readonly #clock: Clock;
  readonly #onRefused: (kind: string) => void;

  /** @param onRefused told of each credential that is not accepted, by its kind. */
  constructor(
    directory: Directory,
    passwords: VerifiedPasswords,
    tokens: Tokens,
    clock: Clock,
    onRefused: (kind: string) => void,
  ) {
    this.#directory = directory;
    this.#passwords = passwords;
    this.#tokens = tokens;
    this.#clock = clock;
    this.#onRefused = onRefused;
  }

  /**
   * @throws MeshError Unauthenticated, one text for all reasons; Unavailable when it cannot tell.
   */
  async authenticate(
    credential: MessageInitShape<typeof CredentialSchema> | undefined,
  ): Promise<Identity> {
    this.#directory.checkFresh();
    const identity = await this.#identify(credential?.credential);
    if (identity === undefined) {
      this.#onRefused(credential?.credential?.case ?? 'none');
      throw new MeshError('Unauthenticated', 'the credential is wrong, expired or unknown', {
        field: 'authorization',
      });
    }
    return identity;
  }

  async #identify(
    credential: MessageInitShape<typeof CredentialSchema>['credential'],
  ): Promise<Identity | undefined> {
    switch (credential?.case) {
      case 'password': {
        const { user = '', password = '' } = credential.value;
        const slash = user.indexOf('/');
        const tenant = slash === -1 ? DEFAULT_TENANT : user.slice(0, slash);
        const found = await this.#passwords.verify(tenant, user.slice(slash + 1), password);
        return found && identity(Kind.USER, found, 0);
      }
      case 'apiKey': {
        const found = verifyApiKey(this.#directory, this.#clock, credential.value);
        return found && identity(Kind.API_KEY, found, found.expiresMs);
      }
      case 'jwt': {
        const found = await this.#tokens.verify(credential.value);
        return found && identity(Kind.TOKEN, found, found.expiresMs);
      }
      default:
        return undefined;
    }
  }

  /**
   * A principal that authenticated earlier, as it is now: with the roles it has now (a token's
   * roles are only known from it) or undefined when it is gone.
   *
   * @param past Instead: as it was then, whatever of it has expired since.
   */
  recall(
    principal: { tenant: string; kind: Kind; name: string; roles: readonly string[] } | undefined,
    past?: Rights,
  ): Identity | undefined {
    this.#directory.checkFresh();
    if (principal === undefined) return undefined;
    const { tenant, kind, name } = principal;
    if (!isTenant(tenant) || !isName(name)) return undefined;
    switch (kind) {
      case Kind.USER: {
        const user =
          past === undefined
            ? this.#directory.user(tenant, name)?.value
            : past.tenant(tenant).users.find((each) => each.name === name);
        return user === undefined || user.disabled ? undefined : identity(Kind.USER, user, 0);
      }
      case Kind.API_KEY: {
        const nowMs = past === undefined ? this.#clock.now() : 0;
        const live = (past ?? this.#directory)
          .tenant(tenant)
          .keys.find((key) => key.name === name && !isPast(key.expiresMs, nowMs));
        return live && identity(Kind.API_KEY, live, 0);
      }
      case Kind.TOKEN:
        return this.#tokens.accepted
          ? identity(Kind.TOKEN, { tenant, name, roles: principal.roles.filter(isName) }, 0)
          : undefined;
      default:
        return undefined;
    }
  }
}

function identity(
  kind: Kind,
  found: { readonly tenant: string; readonly name: string; readonly roles: readonly string[] },
  expiresMs: number,
): Identity {
  const { tenant, name, roles } = found;
  return { kind, tenant, name, roles, expiresMs, subject: `${subjectWord(kind)}:${name}` };
}
