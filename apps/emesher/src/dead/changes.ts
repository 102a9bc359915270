import {
  REDRIVE_RATE_MAX,
  checkChange,
  type ChangeOptions,
  type DeadLetterSelection,
  type PurgeResult,
  type RedriveOptions,
  type RedriveResult,
} from '@eventmesh/adapter-api';
import { subscriptionKey, type GovernanceView } from '@eventmesh/clients';
import { invalid } from '@eventmesh/errors';
import { pause } from '@eventmesh/time';
import type { EmesherMetrics } from '../metrics.ts';
import type { DeadTimers } from '../schedule/dead-timers.ts';
import { auditPrincipal, type CallerSession } from '../session.ts';
import { batches, readOf, readToken, writeToken, type BatchLimits } from './batches.ts';
import type { DeadLog } from './dead-log.ts';
import { recordBefore, type StoredLetter } from './letter.ts';
import type { DeadOwnership } from './ownership.ts';
import { Redrivable, type RedrivableDeps } from './redrivable.ts';
import { chooser } from './rights.ts';
import { checked } from './selection.ts';

export interface DeadChangesDeps extends RedrivableDeps {
  readonly log: DeadLog;
  readonly ownership: DeadOwnership;
  readonly policies: Pick<GovernanceView, 'audit'>;
  readonly metrics: EmesherMetrics;
  readonly now: () => number;
  /** Stores the events of letters again, each for its own subscription. */
  readonly giveBack: (tenant: string, letters: readonly StoredLetter[]) => Promise<void>;
  /** Those of letters without a subscription, for everybody. */
  readonly timers: Pick<DeadTimers, 'mayPublish' | 'publish'>;
  /** Room was made. */
  readonly changed: (tenant: string) => void;
}

/** A call works so long and then answers with a token. */
const WORK_MS = 5000;
/** Kept of the caller's deadline for the last batch and the answer. */
const ANSWER_MS = 1000;
const BATCH: BatchLimits = Object.freeze({ letters: 500, bytes: 4 * 1024 * 1024 });

interface Work {
  readonly selection: DeadLetterSelection;
  readonly token: string;
  readonly signal: AbortSignal | undefined;
  readonly deadlineMs: number | undefined;
  readonly limits: BatchLimits;
  /** Whether a letter can be done; the others stay. */
  readonly can: (letter: StoredLetter) => boolean | Promise<boolean>;
  /** What to do with letters before they are settled. */
  readonly act: (letters: readonly StoredLetter[]) => Promise<void>;
  /** Pause behind a batch of so many, in ms. */
  readonly pauseMs: (done: number) => number;
}

/** Redrive and purge: the only ways by which a dead letter is settled, both by hand. */
export class DeadChanges {
  readonly #deps: DeadChangesDeps;

  constructor(deps: DeadChangesDeps) {
    this.#deps = deps;
  }

  async redrive(
    caller: CallerSession,
    selection: DeadLetterSelection,
    { rateMax, token, signal, deadlineMs }: RedriveOptions,
  ): Promise<RedriveResult> {
    checkChange(checked(selection));
    if (!Number.isSafeInteger(rateMax) || rateMax < 0 || rateMax > REDRIVE_RATE_MAX) {
      const limit = `0 to ${REDRIVE_RATE_MAX} events/s`;
      throw invalid('rateMax', `${rateMax} is out of bounds`, { limit });
    }
    const { giveBack, timers, metrics } = this.#deps;
    const { tenant } = caller.principal;
    const redrivable = new Redrivable(this.#deps, caller);
    const letters = rateMax === 0 ? BATCH.letters : Math.ceil(rateMax / 4);
    const { done, nextToken } = await this.#change(caller, 'redrive', {
      selection,
      token,
      signal,
      deadlineMs,
      limits: { ...BATCH, letters: Math.min(BATCH.letters, letters) },
      pauseMs: (count) => (rateMax === 0 ? 0 : (count * 1000) / rateMax),
      can: (stored) => redrivable.has(stored),
      async act(batch) {
        const { own = [], timed = [] } = Object.groupBy(batch, ({ letter }) =>
          letter.subscription === '' ? 'timed' : 'own',
        );
        if (own.length > 0) await giveBack(tenant, own);
        await timers.publish(tenant, timed.map(recordBefore));
      },
    });
    metrics.deadLettersRedriven.inc({ tenant }, done);
    return { redriven: done, ...redrivable.staying, nextToken };
  }

  async purge(
    caller: CallerSession,
    selection: DeadLetterSelection,
    { token, signal, deadlineMs }: ChangeOptions,
  ): Promise<PurgeResult> {
    checkChange(checked(selection));
    const { tenant } = caller.principal;
    const { done, nextToken } = await this.#change(caller, 'purge', {
      selection,
      token,
      signal,
      deadlineMs,
      limits: BATCH,
      pauseMs: () => 0,
      can: () => true,
      act: () => Promise.resolve(),
    });
    this.#deps.metrics.deadLettersPurged.inc({ tenant }, done);
    return { purged: done, nextToken };
  }

  async #change(
    caller: CallerSession,
    verb: 'redrive' | 'purge',
    work: Work,
  ): Promise<{ readonly done: number; readonly nextToken: string }> {
    const tally = { done: 0 };
    try {
      return { nextToken: await this.#work(caller, work, tally), done: tally.done };
    } finally {
      // What was done before a fault was done, too.
      if (tally.done > 0) this.#told(caller, verb, work.selection, tally.done);
    }
  }

  /** Answers where the next call has to go on. */
  async #work(caller: CallerSession, work: Work, tally: { done: number }): Promise<string> {
    const { log, ownership, directory, now } = this.#deps;
    const { tenant } = caller.principal;
    const choose = chooser(caller, work.selection, (name) =>
      directory.subscriptions.get(subscriptionKey({ tenant, name })),
    );
    const until = Math.min(now() + WORK_MS, (work.deadlineMs ?? Infinity) - ANSWER_MS);
    const { first, last } = await log.stats(tenant);
    const { from, upTo } = readToken(work.token, last);
    const read = { ...readOf(work.selection), from: Math.max(from, first), upTo };
    return ownership.hold(tenant, async (step) => {
      for await (const batch of batches(log, tenant, read, choose, work.limits)) {
        const done = await step((epoch) => this.#settle(tenant, epoch, batch.letters, work));
        tally.done += done;
        const pauseMs = work.pauseMs(done);
        if (pauseMs > 0) await pause(pauseMs, work.signal);
        const over = now() >= until || work.signal?.aborted === true;
        if (over) return writeToken(batch.upTo, upTo);
      }
      return '';
    });
  }

  /** Acts on the letters that are still open, and only then settles them. */
  async #settle(
    tenant: string,
    epoch: number,
    letters: readonly StoredLetter[],
    work: Work,
  ): Promise<number> {
    if (letters.length === 0) return 0;
    const { log, changed } = this.#deps;
    const { settled } = await log.stats(tenant);
    const open: StoredLetter[] = [];
    for (const each of letters) {
      if (!settled.has(each.letter.id) && (await work.can(each))) open.push(each);
    }
    if (open.length === 0) return 0;
    // Before anything is done: it throws when there is no place for them.
    for (const { letter, size } of open) settled.add(letter.id, size);
    await work.act(open);
    await log.commit(tenant, settled, epoch);
    changed(tenant);
    return open.length;
  }

  #told(
    caller: CallerSession,
    verb: string,
    { subscription, cause, ids }: DeadLetterSelection,
    done: number,
  ): void {
    const { principal } = caller;
    const parts = [
      ...(cause === undefined ? [] : [`cause "${cause}"`]),
      ...(ids === undefined ? [] : [`${ids.length} ids`]),
    ];
    this.#deps.policies.audit({
      tenant: principal.tenant,
      principal: auditPrincipal(principal),
      action: `${verb}-dead-letters`,
      resource: subscription ?? '#',
      outcome: 'done',
      reason: [`${done} letters`, ...parts].join(', '),
    });
  }
}
