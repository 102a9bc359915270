import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '@eventmesh/kv-api';
import type { Directory } from './directory.ts';
import { PASSWORD_BYTES_MAX, hashPassword, passwordMatches, type ScryptCost } from './password.ts';
import type { UserRecord } from './records.ts';
import { WorkLimit } from './work-limit.ts';

export interface PasswordOptions {
  readonly cost: ScryptCost;
  /** How long a password that was right is taken for right without hashing it again, in ms. */
  readonly cacheMs: number;
  readonly clock: Clock;
  /** Hashes at a time. */
  readonly hashingMax: number;
  /** Logins that may wait for theirs. */
  readonly waitingMax: number;
}

interface Verified {
  /** Of the user's entry: any change of the user asks for the password anew. */
  readonly revision: number;
  readonly untilMs: number;
}

const VERIFIED_MAX = 10_000;

/**
 * Checks passwords against stored hashes. A wrong password and an unknown user cost the same. A
 * right one is remembered for a while under an HMAC with a key of this process, so that a client
 * that sends it with every request does not cost a hash every time.
 */
export class VerifiedPasswords {
  readonly #directory: Directory;
  readonly #options: PasswordOptions;
  readonly #hmacKey = randomBytes(32);
  readonly #verified = new Map<string, Verified>();
  readonly #pending = new Map<string, Promise<UserRecord | undefined>>();
  readonly #limit: WorkLimit;
  readonly #nobody: Promise<string>;

  constructor(directory: Directory, options: PasswordOptions) {
    this.#directory = directory;
    this.#options = options;
    this.#limit = new WorkLimit(options.hashingMax, options.waitingMax);
    this.#nobody = hashPassword(randomBytes(32).toString('hex'), options.cost);
  }

  /** Hashes that are being computed, and logins that wait for theirs. */
  get load(): { readonly hashing: number; readonly waiting: number } {
    return { hashing: this.#limit.active, waiting: this.#limit.waiting };
  }

  /** The user whose password this is, or undefined without saying why not. */
  verify(tenant: string, name: string, password: string): Promise<UserRecord | undefined> {
    // Longer than any password can be, whoever asks; and not hashed, however long.
    if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return Promise.resolve(undefined);
    const id = createHmac('sha256', this.#hmacKey)
      .update(JSON.stringify([tenant, name, password]))
      .digest('base64');
    const user = this.#directory.user(tenant, name);
    const known = this.#verified.get(id);
    if (user !== undefined && known !== undefined && !user.value.disabled) {
      const fresh = this.#options.clock.now() < known.untilMs;
      if (fresh && known.revision === user.modRevision) return Promise.resolve(user.value);
    }
    // Many connections of one client that come back together cost one hash.
    let pending = this.#pending.get(id);
    if (pending === undefined) {
      pending = this.#limit
        .run(() => this.#hash(id, tenant, name, password))
        .finally(() => this.#pending.delete(id));
      this.#pending.set(id, pending);
    }
    return pending;
  }

  async #hash(
    id: string,
    tenant: string,
    name: string,
    password: string,
  ): Promise<UserRecord | undefined> {
    const user = this.#directory.user(tenant, name);
    const stored = user?.value.passwordHash ?? (await this.#nobody);
    const matches = await passwordMatches(password, stored);
    if (!matches || user === undefined || user.value.disabled) {
      this.#verified.delete(id);
      return undefined;
    }
    if (this.#verified.size >= VERIFIED_MAX) this.#verified.clear();
    const untilMs = this.#options.clock.now() + this.#options.cacheMs;
    this.#verified.set(id, { revision: user.modRevision, untilMs });
    return user.value;
  }
}
