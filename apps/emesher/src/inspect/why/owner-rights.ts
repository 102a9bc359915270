import type { CompiledGrants } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError } from '@eventmesh/errors';
import { Action } from '@eventmesh/proto-gen/acl';
import type { CallerSession } from '../../session.ts';
import type { PastGrants } from './facts.ts';

export interface OwnerRightsDeps {
  /** The rights that a subscription's deliveries are checked against. */
  readonly ownerSession: (subscription: Subscription) => Promise<CallerSession>;
  /**
   * What its owner might do at a revision of the past; undefined when that is no longer known.
   * @throws MeshError Unavailable while acl is away.
   */
  readonly ownerGrantsAt: (
    subscription: Subscription,
    revision: number,
  ) => Promise<CompiledGrants | undefined>;
}

/** What an owner may receive now. */
export interface RightsNow {
  /** 0 while nobody can tell. */
  readonly revision: number;
  mayReceive(topic: string): boolean | undefined;
}

/** The rights of owners, now and in the past, for one question; each is asked for once. */
export class OwnerRights {
  readonly #deps: OwnerRightsDeps;
  readonly #past = new Map<string, Promise<CompiledGrants | undefined>>();

  constructor(deps: OwnerRightsDeps) {
    this.#deps = deps;
  }

  /** As at a delivery: who is not known any more may nothing, and nobody can tell while acl is away. */
  async now(subscription: Subscription): Promise<RightsNow> {
    try {
      const session = await this.#deps.ownerSession(subscription);
      return {
        revision: Math.max(0, session.grants.revision),
        mayReceive: (topic) => session.mayReceive(topic),
      };
    } catch (error) {
      const away = MeshError.from(error).code === 'Unavailable';
      return { revision: 0, mayReceive: () => (away ? undefined : false) };
    }
  }

  /**
   * The grants of a revision that an event was admitted by; undefined when they are not kept, when
   * none is stamped on it, and when they are those of now.
   */
  async past(
    subscription: Subscription,
    topic: string,
    { revision, now }: { readonly revision: number; readonly now: number },
  ): Promise<PastGrants | undefined> {
    if (revision === 0 || revision === now) return undefined;
    const { tenant, owner } = subscription;
    const key = JSON.stringify([tenant, owner, revision]);
    let asked = this.#past.get(key);
    if (asked === undefined) {
      asked = this.#ask(subscription, revision);
      this.#past.set(key, asked);
    }
    const grants = await asked;
    if (grants === undefined) return undefined;
    return { revision, received: grants.allows(Action.SUBSCRIBE, topic) };
  }

  async #ask(subscription: Subscription, revision: number): Promise<CompiledGrants | undefined> {
    try {
      return await this.#deps.ownerGrantsAt(subscription, revision);
    } catch (error) {
      // The answer is by the grants of now then, and says so.
      if (MeshError.from(error).code === 'Unavailable') return undefined;
      throw error;
    }
  }
}
