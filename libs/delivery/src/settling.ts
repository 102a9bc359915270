import { hasExpired } from '@eventmesh/event';
import type { Backlog } from './backlog.ts';
import type { Burials } from './burials.ts';
import type { Consumer } from './consumers.ts';
import type { Entry, OnEnded } from './entry.ts';
import type { Lease, Leases } from './leases.ts';
import type { RetryPace } from './retry-pace.ts';
import { RELEASE_DELAY_MS_MAX, exhausted, retryDelayMs, tooOld } from './retry.ts';
import type { SubscriptionSpec } from './subscription.ts';

export type Settle =
  | { readonly kind: 'accept' }
  /** With a delay, of half a day at most, it is the consumer's wish; without one it is a failure. */
  | { readonly kind: 'release'; readonly delayMs?: number }
  | { readonly kind: 'reject'; readonly reason: string }
  | { readonly kind: 'renew' }
  /** Nobody has looked at it: as if it had not been handed out, and the next one to go out again. */
  | { readonly kind: 'return' };

export interface SettlingParts {
  readonly spec: SubscriptionSpec;
  /** 0 to 1. */
  readonly random: () => number;
  readonly backlog: Backlog;
  readonly leases: Leases;
  readonly burials: Burials;
  readonly pace: RetryPace;
  readonly onEnded: OnEnded;
}

/**
 * How a delivery ends, and what becomes of its event. Two counts: every delivery is an attempt, and
 * only a lease that ran out and a release without a delay are failures, which use up the budget. A
 * disconnect, a release with the consumer's own delay, and being recalled are none. What is returned
 * was no attempt either.
 */
export class Settling {
  readonly #parts: SettlingParts;

  constructor(parts: SettlingParts) {
    this.#parts = parts;
  }

  /** Deliveries of a consumer; `settled` hears of each that is done with. Answers those refused. */
  settleAll(
    name: string,
    ids: readonly number[],
    outcome: Settle,
    now: number,
    settled: (entry: Entry) => void,
  ): number[] {
    const { leases, spec } = this.#parts;
    const refused: number[] = [];
    // What comes again recalls what is behind it in its key, so of several the last one goes first.
    const comesAgain = outcome.kind === 'release' || outcome.kind === 'return';
    const order = comesAgain && spec.ordered ? ids.toReversed() : ids;
    for (const id of order) {
      const lease = leases.find(id);
      if (lease === undefined || lease.consumer.name !== name) refused.push(id);
      else if (this.#settle(lease, outcome, now)) settled(lease.entry);
    }
    return refused;
  }

  /** Whether that was the end of the event, as far as its consumer is concerned. */
  #settle(lease: Lease, outcome: Settle, now: number): boolean {
    const { entry } = lease;
    switch (outcome.kind) {
      case 'renew':
        this.#parts.leases.renew(lease, now);
        return false;
      case 'return':
        entry.attempts--;
        this.#takeBackFrom(entry);
        return false;
      case 'release':
        this.#release(entry, outcome.delayMs ?? 0, now);
        return false;
      case 'accept':
        this.#land(entry);
        entry.progress.counters.delivered++;
        this.#parts.pace.succeeded();
        this.#parts.backlog.remove(entry, now);
        return true;
      case 'reject':
        this.#land(entry);
        this.#bury(entry, outcome.reason, now);
        return true;
    }
  }

  /** Leases that are over. */
  runOut(now: number): void {
    const { leases } = this.#parts;
    for (let lease = leases.first; lease && lease.endMs <= now; lease = leases.first) {
      const { entry } = lease;
      if (entry.key === undefined || entry.key.firstOut === entry) {
        this.#fail(entry, 'the acknowledgement time ran out', now);
      } else {
        // Its consumer is at work on an older event of the key; its own time begins after that.
        leases.renew(lease, now);
      }
    }
  }

  /** All that a consumer has becomes ready again, and its keys free. */
  takeBack({ out }: Consumer): void {
    for (const lease of [...out]) {
      const { entry } = lease;
      // Recalled with another one of its key.
      if (entry.lease !== lease) continue;
      const { key } = entry;
      this.#takeBackFrom(key?.firstOut ?? entry);
    }
  }

  /** Settles or gives up what must not go out any more, expired or failed too often. */
  isOver(entry: Entry, now: number): boolean {
    const { expiryMs } = entry.record;
    if (hasExpired(expiryMs, now)) {
      this.#expire(entry, now);
      return true;
    }
    if (entry.failures === 0 || !exhausted(this.#parts.spec.retry, entry.failures)) return false;
    // The budget was used up before a restart, and the letter not written.
    this.#bury(entry, `failed ${entry.failures} times`, now);
    return true;
  }

  /** Whether what has expired becomes a dead letter. */
  get keepsExpired(): boolean {
    const { deadLetter, deadLetterExpired } = this.#parts.spec;
    return deadLetter && deadLetterExpired;
  }

  /** Gives up what expired and is in no key. */
  buryExpired(entry: Entry): void {
    entry.reason = 'expired';
    entry.state = 'dead';
    this.#parts.burials.add(entry);
  }

  #release(entry: Entry, delayMs: number, now: number): void {
    if (!(delayMs > 0)) this.#fail(entry, 'released by the consumer', now);
    else if (!this.#buryOld(entry, 'released by the consumer', now)) {
      this.#comeAgain(entry, now + Math.min(delayMs, RELEASE_DELAY_MS_MAX));
    }
  }

  /** A delivery has failed: it comes again after a delay, or is given up. */
  #fail(entry: Entry, reason: string, now: number): void {
    const { spec, random, pace } = this.#parts;
    entry.failures++;
    pace.failed();
    entry.progress.notes.failed(entry.position, entry.failures);
    if (this.#buryOld(entry, reason, now)) return;
    const delay = retryDelayMs(spec.retry, entry.failures, random);
    if (delay !== undefined) {
      entry.reason = reason;
      this.#comeAgain(entry, now + delay);
      return;
    }
    this.#land(entry);
    this.#bury(entry, reason, now);
  }

  /** Gives up an event that is too old to be tried again. */
  #buryOld(entry: Entry, reason: string, now: number): boolean {
    const { retry } = this.#parts.spec;
    if (!tooOld(retry, entry.record, now)) return false;
    this.#land(entry);
    this.#bury(entry, `older than ${retry.ageMaxMs} ms; ${reason}`, now);
    return true;
  }

  /** What is out comes again at a time, and what went out behind it in its key after it. */
  #comeAgain(entry: Entry, dueMs: number): void {
    this.#land(entry);
    entry.key?.comeBack(entry, this.#land);
    entry.progress.notes.delayed(entry.position, dueMs);
    this.#parts.backlog.wait(entry, dueMs);
  }

  /** What is out becomes ready again, and what went out behind it in its key. */
  #takeBackFrom(entry: Entry): void {
    this.#land(entry);
    entry.key?.comeBack(entry, this.#land);
    this.#parts.backlog.ready(entry);
  }

  /** No consumer gets it any more; it is held until its dead letter is durable. */
  #bury(entry: Entry, reason: string, now: number): void {
    entry.reason = reason;
    this.#parts.backlog.die(entry, now);
    this.#parts.burials.add(entry);
  }

  #expire(entry: Entry, now: number): void {
    const { backlog } = this.#parts;
    if (this.keepsExpired) {
      // Never to be delivered, also after a crash: nothing of its key has to wait for its letter.
      backlog.leaveKey(entry, now);
      this.buryExpired(entry);
      return;
    }
    entry.progress.counters.expired++;
    backlog.remove(entry, now);
    this.#parts.onEnded(entry, 'expired');
  }

  /** Its lease is over and its id stale. */
  readonly #land = ({ lease }: Entry): void => {
    if (lease === undefined) return;
    lease.consumer.out.delete(lease);
    this.#parts.leases.end(lease);
  };
}
