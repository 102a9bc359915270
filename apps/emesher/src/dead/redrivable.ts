import type { RedriveResult } from '@eventmesh/adapter-api';
import { subscriptionKey, type SubscriptionKey } from '@eventmesh/clients';
import type { Subscription } from '@eventmesh/delivery';
import { MeshError, unavailable } from '@eventmesh/errors';
import { EventView, decodeRecord, topicMatches } from '@eventmesh/event';
import { compileFilters, type Predicate } from '@eventmesh/filter';
import type { Directory } from '../control/directory.ts';
import type { DeadTimers } from '../schedule/dead-timers.ts';
import type { CallerSession } from '../session.ts';
import { encodeRedriven, type StoredLetter } from './letter.ts';
import { mayPublishAgain } from './rights.ts';

export interface RedrivableDeps {
  readonly directory: Pick<Directory, 'subscriptions'>;
  /**
   * The rights of a subscription's owner.
   * @throws MeshError Unauthenticated when it is no longer known; Unavailable.
   */
  readonly ownerSession: (subscription: Subscription) => Promise<CallerSession>;
  readonly timers: Pick<DeadTimers, 'mayPublish'>;
}

/** Letters that stay where they are, by why. */
type Staying = Pick<RedriveResult, 'missing' | 'unmatched' | 'forbidden'>;

/** A subscription that letters are to go back to, and what is asked for each of them. */
interface Recipient {
  readonly subscription: Subscription;
  readonly matches: Predicate;
  /** Undefined when its owner is no longer known. */
  readonly owner: CallerSession | undefined;
}

/** Subscriptions that are remembered in one call. */
const RECIPIENTS_MAX = 1000;

/**
 * Which letters one call can redrive. A letter is settled when its event is stored for its
 * subscription; what that one would pass over would be lost without a word, and so stays.
 */
export class Redrivable {
  readonly #deps: RedrivableDeps;
  readonly #caller: CallerSession;
  readonly #recipients = new Map<string, Recipient>();
  readonly #staying = { missing: 0, unmatched: 0, forbidden: 0 };

  constructor(deps: RedrivableDeps, caller: CallerSession) {
    this.#deps = deps;
    this.#caller = caller;
  }

  /** Those that were asked for and stay. */
  get staying(): Staying {
    return { ...this.#staying };
  }

  /** @throws MeshError Unavailable while acl cannot tell. */
  async has(stored: StoredLetter): Promise<boolean> {
    const why = await this.#whyNot(stored);
    if (why !== undefined) this.#staying[why]++;
    return why === undefined;
  }

  async #whyNot(stored: StoredLetter): Promise<keyof Staying | undefined> {
    const { letter, record } = stored;
    if (letter.subscription === '') {
      const { timers } = this.#deps;
      const may = mayPublishAgain(this.#caller, letter) && (await timers.mayPublish(record));
      return may ? undefined : 'forbidden';
    }
    const recipient = await this.#recipient(
      subscriptionKey({ tenant: record.tenant, name: letter.subscription }),
    );
    if (recipient === undefined) return 'missing';
    const { subscription, owner } = recipient;
    if (!matches(recipient, stored)) return 'unmatched';
    const mayReceive = owner === undefined ? false : owner.mayReceive(letter.topic);
    if (mayReceive !== undefined) return mayReceive ? undefined : 'forbidden';
    const what = `whether the owner of "${subscription.name}" may receive "${letter.topic}"`;
    throw unavailable(`acl cannot tell ${what}; try again later`);
  }

  /** As it is now; a broadcast is consumed through its parts, and gets nothing itself. */
  async #recipient(key: SubscriptionKey): Promise<Recipient | undefined> {
    const subscription = this.#deps.directory.subscriptions.get(key);
    if (subscription?.deliveryClass !== 'durable') return undefined;
    if (subscription.mode === 'broadcast') return undefined;
    let recipient = this.#recipients.get(key);
    if (recipient?.subscription !== subscription) {
      const owner = await this.#owner(subscription);
      recipient = { subscription, matches: compileFilters(subscription.filters), owner };
      if (this.#recipients.size >= RECIPIENTS_MAX) this.#recipients.clear();
      this.#recipients.set(key, recipient);
    }
    return recipient;
  }

  /** As at a delivery: an owner that asks for itself is judged by what it has shown. */
  async #owner(subscription: Subscription): Promise<CallerSession | undefined> {
    const { kind, name } = this.#caller.principal;
    if (subscription.owner === `${kind}:${name}`) return this.#caller;
    try {
      return await this.#deps.ownerSession(subscription);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.code !== 'Unauthenticated') throw error;
      return undefined;
    }
  }
}

/** By the event as it will be offered, so that filters see what redriving adds. */
function matches({ subscription, matches: passes }: Recipient, stored: StoredLetter): boolean {
  const { topicFilters, filters } = subscription;
  if (!topicFilters.some((filter) => topicMatches(filter, stored.letter.topic))) return false;
  if (filters.length === 0) return true;
  return passes(new EventView(decodeRecord(encodeRedriven(stored)).event));
}
