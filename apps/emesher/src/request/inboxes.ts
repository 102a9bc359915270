import { hasExpired, type RecordView } from '@eventmesh/event';
import { newToken, readInboxTopic } from './inbox-address.ts';

interface Waiting {
  readonly tenant: string;
  /** Ms since the epoch. */
  readonly deadlineMs: number;
  readonly answer: (event: Uint8Array) => void;
}

/** What became of a reply: somebody waited for it, or nobody does (any more). */
export type ReplyOutcome = 'answered' | 'late';

export interface InboxesOptions {
  readonly site: string;
  readonly member: string;
  readonly now: () => number;
  readonly token?: () => string;
  /** Whether this is another emesher of this site; it is sent what is for it, and counts it. */
  readonly isSister: (member: string) => boolean;
  readonly onReply: (tenant: string, outcome: ReplyOutcome) => void;
}

/**
 * The inboxes of this emesher: one for each request that waits. An inbox lives from its request to
 * its first reply, its deadline or the end of this process, whichever comes first, and belongs to
 * the tenant of the request: for all others it is not there.
 */
export class Inboxes {
  readonly #options: InboxesOptions;
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: InboxesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Opens an inbox; answers its token. */
  open(waiting: Waiting): string {
    const token = (this.#options.token ?? newToken)();
    this.#waiting.set(token, waiting);
    return token;
  }

  /** Idempotent. */
  close(token: string): void {
    this.#waiting.delete(token);
  }

  /** Takes a reply that has reached this site; whether somebody waited for it here. */
  deliver(record: RecordView): boolean {
    const { site, member, isSister } = this.#options;
    const address = readInboxTopic(record.topic);
    const atSite = address?.site === site;
    if (atSite && address.member !== member && isSister(address.member)) return false;
    const here = atSite && address.member === member;
    const outcome = here && this.#answer(address.token, record) ? 'answered' : 'late';
    this.#options.onReply(record.tenant, outcome);
    return outcome === 'answered';
  }

  #answer(token: string, { tenant, expiryMs, event }: RecordView): boolean {
    const waiting = this.#waiting.get(token);
    if (waiting === undefined || waiting.tenant !== tenant) return false;
    const now = this.#options.now();
    if (waiting.deadlineMs <= now || hasExpired(expiryMs, now)) return false;
    this.#waiting.delete(token);
    waiting.answer(event);
    return true;
  }
}
