import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NO_HANDLING, encodeEvent, encodeRecord, type RecordView } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { Follower } from './follower.ts';
import type { Tap } from './tap.ts';

const LOG = 'events.t';
let dir: TempDir;
let store: EventStore;
let follower: Follower;

beforeEach(async () => {
  dir = tempDir('follower');
  store = await openEmbeddedStore({ dir: dir.path });
  const spec = { retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
  await store.ensureLog({ name: LOG, partitions: 1, ...spec });
  const logger = createLogger({ level: 'silent', service: 'test', site: 'west' });
  follower = new Follower({
    store,
    log: LOG,
    partition: 0,
    logger,
    readAheadBytes: 65_536,
    retryMs: 10,
  });
});
afterEach(async () => {
  follower.stop();
  await store.close();
  dir.remove();
});

class Looker implements Tap {
  readonly ready = true;
  /** Events that it has an appetite for. */
  appetite = Infinity;
  readonly topicFilters: readonly string[] | undefined;
  readonly recipient?: string;
  readonly offered: number[] = [];
  others = 0;
  upTo = 0;

  constructor(topicFilters: readonly string[] | undefined, recipient?: string) {
    this.topicFilters = topicFilters;
    if (recipient !== undefined) this.recipient = recipient;
  }

  get hungry(): boolean {
    return this.offered.length < this.appetite;
  }

  boundary(): number {
    return 0;
  }

  offer(_partition: number, position: number, _record: RecordView): boolean {
    this.offered.push(position);
    return true;
  }

  advance(_partition: number, upTo: number, others: number): void {
    this.upTo = upTo;
    this.others += others;
  }

  gap(): void {
    throw new Error('there is no gap');
  }
}

const append = (...records: readonly { topic: string; only?: string }[]) =>
  store.append({
    log: LOG,
    partition: 0,
    records: records.map(({ topic, only = '' }) => ({
      bytes: encodeRecord(
        {
          tenant: 't',
          topic,
          principal: 'p',
          originSite: 'west',
          destinations: [],
          ingressTimeUs: 1,
          hops: [],
          handling: { ...NO_HANDLING, onlySubscription: only },
        },
        encodeEvent({ id: '1', source: '/s', type: 't' }),
      ),
    })),
  });

describe('a redriven record', () => {
  const records = [
    { topic: 'a/x' },
    { topic: 'a/x', only: 'mine' },
    { topic: 'a/x', only: 'gone' },
    { topic: 'b/x', only: 'mine' },
    { topic: 'a/y' },
  ];

  it.each(['read later', 'followed live'])(
    'is offered to its own subscription alone and counts at the others, %s',
    async (how) => {
      const mine = new Looker(['a/#'], 'mine');
      const other = new Looker(['a/+', 'b/+'], 'other');
      const link = new Looker(undefined);
      const taps = [mine, other, link];
      if (how === 'read later') await append(...records);
      for (const tap of taps) follower.attach(tap, 1);
      if (how === 'followed live') {
        // Whoever has seen a first record reads the rest from the shared tail.
        await append({ topic: 'a/z' });
        await eventually(() => expect(taps.map(({ upTo }) => upTo)).toEqual([1, 1, 1]));
        for (const tap of taps) {
          tap.offered.length = 0;
          tap.others = 0;
        }
        await append(...records);
      }
      const last = how === 'read later' ? 5 : 6;
      await eventually(() => expect(taps.map(({ upTo }) => upTo)).toEqual([last, last, last]));
      const at = (tap: Looker) => tap.offered.map((position) => position - (last - 5));
      expect([at(mine), mine.others]).toEqual([[1, 2, 5], 2]);
      expect([at(other), other.others]).toEqual([[1, 5], 3]);
      // A link looks at everything and sends what has destinations.
      expect(at(link)).toEqual([1, 2, 3, 4, 5]);
    },
  );
});

describe('a tap that has enough to go on with', () => {
  it('is not read ahead for while it catches up, and goes on where it was', async () => {
    for (let i = 1; i <= 4; i++) await append({ topic: 'a/x' });
    const slow = new Looker(['a/#']);
    const quick = new Looker(['a/#']);
    slow.appetite = 2;
    const handle = follower.attach(slow, 1);
    follower.attach(quick, 1);
    await eventually(() => expect(quick.upTo).toBe(4));
    expect(slow.offered).toEqual([1, 2]);
    slow.appetite = Infinity;
    handle.resume();
    await eventually(() => expect(slow.offered).toEqual([1, 2, 3, 4]));
  });

  it('is offered what is new while it follows live', async () => {
    const tap = new Looker(['a/#']);
    follower.attach(tap, 1);
    await append({ topic: 'a/x' });
    await eventually(() => expect(tap.upTo).toBe(1));
    tap.appetite = 0;
    await append({ topic: 'a/x' });
    await eventually(() => expect(tap.offered).toEqual([1, 2]));
  });
});
