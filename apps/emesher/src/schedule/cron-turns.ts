import { compileCron, type CronTimes } from '@eventmesh/clients';
import { MeshError } from '@eventmesh/errors';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import type { Schedule } from '@eventmesh/proto-gen/governance';
import { occurrenceEvent, occurrenceRecord } from './occurrence.ts';
import type { TimerLog } from './timer-log.ts';
import type { TimerDeps, TurnTaker } from './timer-owner.ts';

/** Occurrences of one append. */
const BATCH_MAX = 100;

interface Running {
  readonly schedule: Schedule;
  readonly times: CronTimes;
  /** The last occurrence in the log of timers; 0 for none. */
  stored: number;
  /** Infinity when it never comes due any more. */
  nextMs: number;
  /** Occurrences that a stop has left behind and that are still to be made up for. */
  missed: number;
}

/**
 * The schedules of a tenant, as turns of the owner of its timers. An occurrence that is due becomes a
 * timer, in an append that carries its time as a producer's number: whoever owns the timers sees in
 * the store which was the last, and none comes twice. All else is as for any timer.
 */
export class CronTurns implements TurnTaker {
  readonly #deps: TimerDeps;
  readonly #log: TimerLog;
  #running = new Map<string, Running>();
  #stale = true;

  constructor(deps: TimerDeps, log: TimerLog) {
    this.#deps = deps;
    this.#log = log;
  }

  /** Occurrences that the schedule which is behind the most has still to make up for. */
  get missed(): number {
    return Math.max(0, ...[...this.#running.values()].map(({ missed }) => missed));
  }

  changed(): void {
    this.#stale = true;
  }

  async turn(signal: AbortSignal): Promise<number> {
    if (this.#stale) await this.#refresh(signal);
    let next = Infinity;
    for (const running of this.#running.values()) {
      if (running.nextMs <= this.#deps.now()) await this.#occur(running);
      next = Math.min(next, running.nextMs);
    }
    return next;
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    this.#stale = false;
    const running = new Map<string, Running>();
    for (const schedule of this.#deps.policies.schedules(this.#log.tenant)) {
      if (signal.aborted) return;
      if (schedule.paused) continue;
      const known = this.#running.get(schedule.name);
      const same = known?.schedule.revision === schedule.revision;
      const one = same ? known : await this.#begin(schedule);
      if (one !== undefined) running.set(schedule.name, one);
    }
    this.#running = running;
  }

  async #begin(schedule: Schedule): Promise<Running | undefined> {
    const { store, logger, now } = this.#deps;
    const { name, cron, timeZone } = schedule;
    try {
      const times = compileCron(cron, timeZone);
      const stored = await store.producerSequence(this.#log.name, 0, producerOf(name));
      const last = Math.max(stored, Number(schedule.sinceMs));
      const since = isDirect(schedule) || last === 0 ? now() : last;
      return { schedule, times, stored, ...this.#firstAfter(since, times, name) };
    } catch (error) {
      if (MeshError.from(error).code !== 'InvalidArgument') throw error;
      logger.warn({ err: error, schedule: name }, 'a schedule cannot be kept');
      return undefined;
    }
  }

  /** The next occurrence, or the first of those that were missed and still count. */
  #firstAfter(sinceMs: number, times: CronTimes, name: string): Pick<Running, 'nextMs' | 'missed'> {
    const { now, logger, missedMax } = this.#deps;
    const next = times.next(sinceMs) ?? Infinity;
    if (next > now()) return { nextMs: next, missed: 0 };
    const latest = times.latest(now(), missedMax, next);
    const missed = latest.length;
    const [first = next] = latest;
    if (first <= next) return { nextMs: next, missed };
    const facts = { schedule: name, fromMs: next, toMs: first };
    logger.warn(facts, `occurrences before the latest ${missedMax} are skipped`);
    return { nextMs: first, missed };
  }

  async #occur(running: Running): Promise<void> {
    const { now, policies, site } = this.#deps;
    const { schedule, times } = running;
    const due: number[] = [];
    while (running.nextMs <= now() && due.length < BATCH_MAX) {
      due.push(running.nextMs);
      running.nextMs = times.next(running.nextMs) ?? Infinity;
    }
    running.missed = Math.max(0, running.missed - due.length);
    if (isDirect(schedule)) {
      const latest = due.at(-1);
      if (latest !== undefined) await this.#publishDirect(schedule, latest);
      return;
    }
    const about = { site, nowMs: now(), policyRevision: policies.revision };
    const records = due.map((dueMs) => occurrenceRecord(schedule, dueMs, about));
    await this.#append(running, records, due.at(-1) ?? 0);
  }

  async #append(
    running: Running,
    records: ReturnType<typeof occurrenceRecord>[],
    last: number,
  ): Promise<void> {
    const { store, ledger } = this.#deps;
    const { tenant, name: log } = this.#log;
    const producer = { id: producerOf(running.schedule.name), previous: running.stored, last };
    const { duplicates } = await store.append({ log, partition: 0, records, producer });
    if (duplicates.length === records.length) {
      throw new MeshError('Aborted', 'another emesher keeps the schedules of this tenant');
    }
    running.stored = last;
    const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0);
    ledger.accepted(tenant, 'durable', records.length - duplicates.length, bytes);
  }

  /** At most once: what cannot be published now is not published later. */
  async #publishDirect(schedule: Schedule, dueMs: number): Promise<void> {
    const { logger, publishAs } = this.#deps;
    const item = {
      topic: schedule.topic,
      event: occurrenceEvent(schedule, dueMs),
      deliveryClass: 'direct' as const,
    };
    try {
      await publishAs(schedule, item);
    } catch (error) {
      logger.warn({ err: error, schedule: schedule.name }, 'an occurrence was not published');
    }
  }
}

const isDirect = ({ deliveryClass }: Schedule): boolean => deliveryClass === DeliveryClass.DIRECT;
const producerOf = (name: string): string => `schedule/${name}`;
