import type { Principal } from '@eventmesh/adapter-api';
import { principalKind, type Authorizer } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import type { Principal_Kind } from '@eventmesh/proto-gen/acl';
import { CallerSession } from '../session.ts';

/** Principals whose rights are held between their timers. */
const SESSIONS_MAX = 1000;

/**
 * A publisher as the log of timers keeps it: `KIND:NAME`, and the roles of a token, which only the
 * token knows. Names and roles have no spaces.
 */
export const principalText = ({ kind, name, roles }: Omit<Principal, 'tenant'>): string =>
  [`${kind}:${name}`, ...(kind === 'token' ? roles : [])].join(' ');

export function parsePrincipal(text: string): {
  readonly kind: Principal_Kind;
  readonly name: string;
  readonly roles: string[];
} {
  const [subject = '', ...roles] = text.split(' ');
  const at = subject.indexOf(':');
  const kind = principalKind(subject.slice(0, at));
  return { kind, name: subject.slice(at + 1), roles };
}

/** Whether those who scheduled events may publish them still. */
export class Publishers {
  readonly #authorizer: Pick<Authorizer, 'sessionFor'>;
  readonly #tenant: string;
  readonly #sessions = new Map<string, CallerSession>();

  constructor(authorizer: Pick<Authorizer, 'sessionFor'>, tenant: string) {
    this.#authorizer = authorizer;
    this.#tenant = tenant;
  }

  /** @throws MeshError Unavailable while acl cannot tell. */
  async mayPublish(principal: string, topic: string): Promise<boolean> {
    try {
      return (await this.session(principal)).grants.canPublish(topic);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      // What acl does not know any more has no right.
      if (error.code !== 'Unauthenticated') throw error;
      this.#sessions.delete(principal);
      return false;
    }
  }

  /** @throws MeshError Unauthenticated when the principal is gone; Unavailable. */
  async session(principal: string): Promise<CallerSession> {
    let session = this.#sessions.get(principal);
    if (session === undefined) {
      const who = { tenant: this.#tenant, ...parsePrincipal(principal) };
      session = new CallerSession(await this.#authorizer.sessionFor(who));
      if (this.#sessions.size >= SESSIONS_MAX) this.#sessions.clear();
      this.#sessions.set(principal, session);
    }
    return session;
  }
}
