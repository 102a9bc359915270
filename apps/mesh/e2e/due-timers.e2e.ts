import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionStatus } from '@eventmesh/adapter-api';
import type { Subscriber } from '@eventmesh/sdk';
import { eventually, tempDir } from '@eventmesh/testing';
import { OneSite } from './one-site.ts';

/*
 * Some each time; a million, with the figures on standard error, by
 *
 *   node tools/repo/src/jest.ts apps/mesh due-timers --globals '{"timers":{"count":1000000}}'
 */
const { count = 20_000 } = (globalThis as { timers?: { count?: number } }).timers ?? {};

const FRAME = 1000;
/**
 * From the first publish until the first ones are due: long enough to publish them all. On a machine
 * that is slower still some fire before the site goes down, and must not fire again.
 */
const LEAD_MS = 2000 + count / 10;
/** They come due over such a time, in another order than that in which they were published. */
const SPREAD_MS = 2000;
const STRIDE = 7919;
/**
 * A site that delivers, for each timer what delivering it leaves for the collector until it runs, and
 * what that comes to at most, however many there are: with a gigabyte and more V8 lets a heap grow to
 * four times of what lives in it.
 */
const MEMORY_BYTES_MAX = Math.min(180 * 2 ** 20 + 2048 * count, 400 * 2 ** 20);
const LIVE_MIN = 4;
/** Live events are published until this share of the backlog has come. */
const LIVE_UNTIL = 0.4;
/** Then it is killed at this share, when the others are being published. */
const KILLED_AT = 0.5;
/** Also on a machine that is busy with other things. */
const TEST_MS = 120_000 + count;

const dir = tempDir('due-timers');
let site: OneSite;

beforeAll(async () => {
  site = await OneSite.start(dir.path, { timers: { pendingMax: count } });
}, 60_000);

afterAll(async () => {
  await site?.stop();
  dir.remove();
}, 60_000);

const pending = () => site.metric('eventmesh_timers_pending');

/** Schedules them all; answers when the last one is due, ms since the epoch. */
async function schedule(): Promise<number> {
  const dueMs = Date.now() + LEAD_MS;
  const client = site.client('publisher');
  const stream = client.publisher();
  for (let from = 0; from < count; from += FRAME) {
    const entries = Array.from({ length: Math.min(FRAME, count - from) }, (_, n) => ({
      topic: `due/${n % 10}`,
      event: { id: String(from + n), source: '/due', type: 'due', data: 'x'.repeat(100) },
      deliverAt: Math.floor(dueMs + (SPREAD_MS * (((from + n) * STRIDE) % count)) / count),
    }));
    const outcomes = await stream.publishMany(entries);
    expect(outcomes.filter((outcome) => !('deliverAtMs' in outcome))).toEqual([]);
  }
  await stream.close();
  client.close();
  return dueMs + SPREAD_MS;
}

/** Takes the backlog: where each one lies in the log of events, and when the first and the last came. */
class Backlog {
  /** By number of the timer; 0 before it came. */
  readonly #places = new Float64Array(count);
  #subscriber: Subscriber | undefined;
  #taking: Promise<void> = Promise.resolve();
  /** Different ones that came. */
  taken = 0;
  /** Timers that were published at a second place. */
  twice = 0;
  firstMs = 0;
  lastMs = 0;

  attach(): void {
    const spec = { name: 'due', topicFilters: ['due/#'], start: { kind: 'earliest' } as const };
    this.#subscriber = site.client('subscriber').subscribe({ subscription: spec });
    this.#taking = this.#take(this.#subscriber);
  }

  async leave(): Promise<void> {
    this.#subscriber?.close();
    await this.#taking;
  }

  async reached(share: number): Promise<void> {
    const wanted = Math.ceil(count * share);
    await eventually(() => expect(this.taken).toBeGreaterThanOrEqual(wanted), {
      timeoutMs: TEST_MS,
      intervalMs: 5,
    });
  }

  async #take(subscriber: Subscriber): Promise<void> {
    for await (const deliveries of subscriber.batches()) {
      this.lastMs = performance.now();
      if (this.taken === 0) this.firstMs = this.lastMs;
      for (const delivery of deliveries) {
        this.#count(Number(delivery.event.id), delivery.position);
        delivery.accept();
      }
    }
  }

  /** What is delivered again after a crash is the same event at the same place. */
  #count(timer: number, position: number): void {
    const known = this.#places[timer] ?? 0;
    if (known === 0) this.taken++;
    else if (known !== position) this.twice++;
    this.#places[timer] = position;
  }
}

/** Publishes an event, waits until it is delivered, and begins again; answers each time taken. */
async function roundTrips(until: AbortSignal): Promise<{ atMs: number; ms: number }[]> {
  const trips: { atMs: number; ms: number }[] = [];
  const publisher = site.client('publisher');
  const live = site.client('subscriber').subscribe({
    subscription: { name: 'live', topicFilters: ['live/#'], start: { kind: 'earliest' } },
  });
  let startedMs = performance.now();
  const next = () => {
    startedMs = performance.now();
    const event = { id: `live-${trips.length}`, source: '/live', type: 'live' };
    return publisher.publish('live/x', event);
  };
  await next();
  for await (const delivery of live) {
    delivery.accept();
    trips.push({ atMs: performance.now(), ms: performance.now() - startedMs });
    if (until.aborted) break;
    await next();
  }
  return trips;
}

/** Watches the bytes that the process has for itself, without the pages of the files that it maps. */
class MemoryWatch {
  readonly #watching = setInterval(() => this.#look(), 100).unref();
  bytesMax = 0;

  #look(): void {
    if (!site.process.up) return;
    const status = readFileSync(`/proc/${site.process.pid}/status`, 'utf8');
    const bytes = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
    this.bytesMax = Math.max(this.bytesMax, bytes);
  }

  stop(): void {
    clearInterval(this.#watching);
  }
}

const share = (sorted: readonly number[], part: number): number =>
  Math.round(sorted[Math.floor(sorted.length * part)] ?? 0);

/** The first part, until it is killed in the middle: how fast, and how live events fare meanwhile. */
async function firstPart(backlog: Backlog): Promise<{ liveTrips: number; words: string }> {
  const starting = performance.now();
  await site.process.start();
  const over = new AbortController();
  const living = roundTrips(over.signal);
  backlog.attach();
  await backlog.reached(LIVE_UNTIL);
  over.abort();
  const trips = await living;
  await backlog.reached(KILLED_AT);
  const { taken, firstMs, lastMs } = backlog;
  await backlog.leave();
  await site.process.kill();
  const meanwhile = trips
    .filter(({ atMs }) => atMs >= firstMs && atMs <= lastMs)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b);
  const seconds = (lastMs - firstMs) / 1000;
  const words =
    `after the start the first came after ${Math.round(firstMs - starting)} ms and ${taken} in ` +
    `${seconds.toFixed(1)} s (${Math.round(taken / seconds)}/s); ${meanwhile.length} live round ` +
    `trips meanwhile, p50 ${share(meanwhile, 0.5)} ms, p99 ${share(meanwhile, 0.99)} ms`;
  return { liveTrips: meanwhile.length, words };
}

describe('a site that was down while its timers came due', () => {
  it(
    `publishes all ${count} of them once, though it is killed meanwhile, in bounded memory, and lets live events through`,
    async () => {
      const publishing = performance.now();
      const lastDueMs = await schedule();
      const publishedMs = performance.now() - publishing;
      const waiting = await pending();
      await site.process.kill();
      await eventually(() => expect(Date.now()).toBeGreaterThan(lastDueMs), {
        timeoutMs: LEAD_MS + SPREAD_MS,
      });

      const memory = new MemoryWatch();
      const backlog = new Backlog();
      const { liveTrips, words } = await firstPart(backlog);
      const killedAt = backlog.taken;
      await site.process.start();
      backlog.attach();
      await backlog.reached(1);
      await eventually(async () => {
        const { status } = await site.management.get<{ status: SubscriptionStatus }>(
          '/v1/subscriptions/due',
        );
        expect(status).toMatchObject({ held: 0, lag: 0 });
      });
      await backlog.leave();
      memory.stop();
      process.stderr.write(
        `${count} timers: published in ${Math.round(publishedMs)} ms, ${waiting} of them waited; ${words}; ` +
          `killed when ${killedAt} had come; at most ${Math.round(memory.bytesMax / 2 ** 20)} MiB\n`,
      );
      expect(backlog.twice).toBe(0);
      await eventually(async () => expect(await pending()).toBe(0));
      expect(await site.metric('eventmesh_timers_total', { outcome: 'duplicate' })).toBe(0);
      expect(liveTrips).toBeGreaterThanOrEqual(LIVE_MIN);
      expect(memory.bytesMax).toBeLessThan(MEMORY_BYTES_MAX);
    },
    TEST_MS,
  );
});
