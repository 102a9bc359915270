import { describe, expect, it } from '@jest/globals';
import type { GovernanceView } from '@eventmesh/clients';
import {
  EventView,
  NO_HANDLING,
  decodeRecord,
  encodeEvent,
  encodeRecord,
  type RecordView,
} from '@eventmesh/event';
import { LatePolicy } from '@eventmesh/proto-gen/event';
import { Metrics } from '@eventmesh/telemetry';
import { Journal } from '../inspect/journal.ts';
import { Ledger } from '../inspect/ledger.ts';
import { Refusals } from '../inspect/refusals.ts';
import { ServedBy } from '../inspect/served-by.ts';
import { emesherMetrics } from '../metrics.ts';
import { FiredRecords, type Fired } from './fired-records.ts';

const TENANT = 't';

/** A timer of the event of this id. */
function timer(id: string, given: Partial<RecordView> = {}): Fired {
  const head = {
    ...{ tenant: TENANT, topic: 'orders/eu', principal: 'user:ann', originSite: 'west' },
    ...{ destinations: [], ingressTimeUs: 1, hops: [], key: 'k', expiryMs: 900 },
    handling: { ...NO_HANDLING, deliverAtMs: 500, latePolicy: LatePolicy.SKIP, grantsRevision: 7 },
    ...given,
  };
  const record = decodeRecord(encodeRecord(head, encodeEvent({ id, source: '/s', type: 't' })));
  return { record, view: new EventView(record.event) };
}

function setUp() {
  const metrics = new Metrics();
  const live = metrics.use(emesherMetrics);
  const journal = new Journal(10);
  const ledger = new Ledger({
    ...{ metrics: live, policies: {} as GovernanceView, served: new ServedBy(), now: () => 0 },
    refusals: new Refusals(0, () => 0),
  });
  const directory = { destinations: (_: string, topic: string) => [`of ${topic}`] };
  const deps = { site: 'west', ledger, metrics: live, journal, directory };
  return { metrics, journal, ledger, fired: new FiredRecords(deps, TENANT) };
}

describe('timers that are fired', () => {
  it('are published now by whoever scheduled them, for whoever wants their topic now', () => {
    const { fired } = setUp();
    const { bytes, dedupKey } = fired.encode(timer('1'), 5000);
    expect(dedupKey).toBe('/s\0' + '1');
    const record = decodeRecord(Buffer.from(bytes));
    expect(record).toMatchObject({
      ...{ topic: 'orders/eu', principal: 'ann', destinations: ['of orders/eu'], key: 'k' },
      ...{ ingressTimeUs: 5000, expiryMs: 900 },
      handling: { deliverAtMs: 0, latePolicy: 0, grantsRevision: 7 },
    });
    const other = fired.encode(timer('2', { topic: 'x' }), 5000, 0);
    expect(decodeRecord(Buffer.from(other.bytes))).toMatchObject({
      ...{ destinations: ['of x'], expiryMs: 0 },
    });
  });

  it('come into the books when they are in the store, each once', async () => {
    const { fired, journal, ledger, metrics } = setUp();
    const timers = [timer('1'), timer('2', { topic: 'x' }), timer('3'), timer('4')];
    const receipt = { positions: [4, 5, 2, 6], duplicates: [2], durability: 'fsync' } as const;
    fired.stored(1, timers, 7_000_999, receipt);
    expect(ledger.topics(TENANT)).toEqual([
      { topic: 'orders/eu', events: 2, lastTimeMs: 7000 },
      { topic: 'x', events: 1, lastTimeMs: 7000 },
    ]);
    const places = ['1', '2', '3', '4'].map((id) => journal.find(TENANT, id));
    expect(places.flat()).toEqual([4, 5, 6].map((position) => ({ partition: 1, position })));
    const duplicates = { tenant: TENANT, outcome: 'duplicate' };
    expect(await metrics.value('eventmesh_timers_total', duplicates)).toBe(1);
    // They were accepted when they were scheduled.
    expect(ledger.tenantLine(TENANT).accepted).toBe(0);
  });
});
