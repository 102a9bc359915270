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
const LEAD_MS = 3000 + count / 6;
/** They come due over such a time, in another order than that in which they were published. */
const SPREAD_MS = 2000;
const STRIDE = 7919;
/** A site that does nothing else, and for each timer its place, its event and what is not collected yet. */
const MEMORY_BYTES_MAX = 300 * 2 ** 20 + 300 * count;
const LIVE_MIN = 10;
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

/** Takes the backlog: how often each came, and when the first and the last one did. */
class Backlog {
  readonly times = new Uint8Array(count);
  readonly #subscriber: Subscriber;
  readonly #taking: Promise<void>;
  taken = 0;
  firstMs = 0;
  lastMs = 0;

  constructor() {
    const subscription = {
      name: 'due',
      topicFilters: ['due/#'],
      start: { kind: 'earliest' },
    } as const;
    this.#subscriber = site.client('subscriber').subscribe({ subscription });
    this.#taking = this.#take();
  }

  async leave(): Promise<void> {
    this.#subscriber.close();
    await this.#taking;
  }

  async #take(): Promise<void> {
    for await (const deliveries of this.#subscriber.batches()) {
      this.lastMs = performance.now();
      if (this.taken === 0) this.firstMs = this.lastMs;
      for (const delivery of deliveries) {
        const n = Number(delivery.event.id);
        this.times[n] = (this.times[n] ?? 0) + 1;
        delivery.accept();
      }
      this.taken += deliveries.length;
    }
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

/** Bytes that the process has for itself, without the pages of the files that it maps. */
function memoryBytes(): number {
  const status = readFileSync(`/proc/${site.process.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

describe('a site that was down while its timers came due', () => {
  it(
    `publishes all ${count} of them once, in bounded memory, and lets live events through meanwhile`,
    async () => {
      const publishing = performance.now();
      const lastDueMs = await schedule();
      const publishedMs = performance.now() - publishing;
      const waiting = await pending();
      await site.process.kill();
      await eventually(() => expect(Date.now()).toBeGreaterThan(lastDueMs), {
        timeoutMs: LEAD_MS + SPREAD_MS,
      });

      const starting = performance.now();
      await site.process.start();
      let memoryMax = 0;
      const watching = setInterval(() => {
        memoryMax = Math.max(memoryMax, memoryBytes());
      }, 100);
      const over = new AbortController();
      const living = roundTrips(over.signal);
      const backlog = new Backlog();
      await eventually(() => expect(backlog.taken).toBeGreaterThanOrEqual(count), {
        timeoutMs: TEST_MS,
      });
      over.abort();
      const trips = await living;
      await eventually(async () => {
        const { status } = await site.management.get<{ status: SubscriptionStatus }>(
          '/v1/subscriptions/due',
        );
        expect(status).toMatchObject({ delivered: count, redelivered: 0, held: 0, lag: 0 });
      });
      await backlog.leave();
      clearInterval(watching);

      const meanwhile = trips
        .filter(({ atMs }) => atMs >= backlog.firstMs && atMs <= backlog.lastMs)
        .map(({ ms }) => ms)
        .sort((a, b) => a - b);
      const at = (share: number) =>
        Math.round(meanwhile[Math.floor(meanwhile.length * share)] ?? 0);
      const seconds = (backlog.lastMs - backlog.firstMs) / 1000;
      process.stderr.write(
        `${count} timers: published in ${Math.round(publishedMs)} ms, ${waiting} of them waited; after the start the first came ` +
          `after ${Math.round(backlog.firstMs - starting)} ms and the rest in ${seconds.toFixed(1)} s ` +
          `(${Math.round(count / seconds)}/s); at most ${Math.round(memoryMax / 2 ** 20)} MiB; ` +
          `${meanwhile.length} live round trips meanwhile, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`,
      );
      expect(backlog.times.findIndex((times) => times !== 1)).toBe(-1);
      await eventually(async () => expect(await pending()).toBe(0));
      expect(await site.metric('eventmesh_timers_total', { outcome: 'duplicate' })).toBe(0);
      expect(meanwhile.length).toBeGreaterThanOrEqual(LIVE_MIN);
      expect(memoryMax).toBeLessThan(MEMORY_BYTES_MAX);
    },
    TEST_MS,
  );
});
