import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import type { GovernanceView } from '@eventmesh/clients';
import { loadConfig, section } from '@eventmesh/config';
import { NO_HANDLING, NO_REVISIONS, encodeEvent, encodeRecord } from '@eventmesh/event';
import { LinkRequestSchema } from '@eventmesh/proto-gen/link';
import { AsyncQueue } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { Metrics, createLogger, createTracing } from '@eventmesh/telemetry';
import { tempDir } from '@eventmesh/testing';
import { dataPlaneConfig } from '../config.ts';
import { Journal } from '../inspect/journal.ts';
import { Ledger } from '../inspect/ledger.ts';
import { Refusals } from '../inspect/refusals.ts';
import { ServedBy } from '../inspect/served-by.ts';
import { Logs } from '../logs.ts';
import { emesherMetrics } from '../metrics.ts';
import { Incoming } from './incoming.ts';
import { LinkOwners } from './link-owners.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { Answers, IncomingDeps } from './receiver.ts';
import { SeenBook } from './seen.ts';

const TENANT = 't';
const tracing = await createTracing({ service: 'test', sampleRatio: 0 });
const config = loadConfig(section('', dataPlaneConfig), { value: { log: { partitions: 1 } } });

let dir: ReturnType<typeof tempDir>;
let store: EventStore;
beforeEach(async () => {
  dir = tempDir('incoming');
  store = await openEmbeddedStore({ dir: dir.path });
});
afterEach(async () => {
  await store.close();
  dir.remove();
});

/** The site east, with links from its neighbours. */
function east() {
  const metrics = new Metrics();
  const live = metrics.use(emesherMetrics);
  const journal = new Journal(100);
  const ledger = new Ledger({
    ...{ metrics: live, policies: {} as GovernanceView, served: new ServedBy(), now: () => 0 },
    refusals: new Refusals(0, () => 0),
  });
  const deps: IncomingDeps = {
    ...{ site: 'east', member: 'east-1', store, logs: new Logs(store, config.log) },
    ...{ ledger, metrics: live, journal, tracing, lanes: { deliver: () => 0 } },
    logger: createLogger({ level: 'silent', service: 'test', site: 'east' }),
    ...{ windowBytes: 1_000_000, answersMax: 100, progressInterval: 1, hopsMax: 8 },
    ...{ revisions: () => NO_REVISIONS, measure: () => () => undefined },
    ...{ neighbours: new Set(['west', 'south']), forwardDirect: () => false },
    ...{ seen: new SeenBook(), owners: new LinkOwners() },
  };
  /** Takes these events of north's log in one frame, and resolves when all are accepted. */
  const take = async (from: string, ids: readonly number[], topic = 'orders/eu') => {
    const out: Answers = new AsyncQueue();
    const window = new ReceiveWindow(deps.windowBytes, deps.answersMax, () => out.size);
    const incoming = new Incoming(deps, { site: from, epoch: 1 }, out, window);
    const records = ids.map((id) => ({
      ...{ position: BigInt(id), destinations: ['east'], record: recordOf(id, topic) },
    }));
    const value = { tenant: TENANT, partition: 0, previous: 0n, records };
    const message = { case: 'frame' as const, value };
    await incoming.take(create(LinkRequestSchema, { message }));
    await incoming.close();
    return out.size;
  };
  const received = (from: string) => metrics.value('eventmesh_link_received_total', { from });
  return { take, received, journal, ledger };
}

function recordOf(id: number, topic: string): Buffer {
  const head = {
    ...{ tenant: TENANT, topic, principal: 'p', originSite: 'north', destinations: ['east'] },
    ...{ originPartition: 0, originPosition: id, ingressTimeUs: 1000 + id, handling: NO_HANDLING },
    hops: [{ site: 'north', timeUs: 1000 + id, ...NO_REVISIONS }],
  };
  return encodeRecord(head, encodeEvent({ id: `${id}`, source: '/s', type: 't' }));
}

describe('events that come in over a link', () => {
  it('come into the books of this site where they lie now', async () => {
    const { take, received, journal, ledger } = east();
    expect(await take('west', [5, 9])).toBe(1);
    expect(ledger.topics(TENANT)).toMatchObject([{ topic: 'orders/eu', events: 2 }]);
    expect(ledger.topics(TENANT)[0]?.lastTimeMs).toBeGreaterThan(0);
    expect(await received('west')).toBe(2);
    const [place] = journal.find(TENANT, '9', '/s');
    expect(place).toEqual({ partition: 0, position: 2 });
    expect(journal.steps(TENANT, journal.find(TENANT, '9'))).toMatchObject([
      { step: 'received', subject: 'west' },
    ]);
    // They were accepted elsewhere.
    expect(ledger.tenantLine(TENANT).accepted).toBe(0);
  });

  it('are in the books once, whichever ways they come', async () => {
    const { take, received, journal, ledger } = east();
    await take('west', [1, 2, 3]);
    await take('south', [2, 3, 4]);
    expect([await received('west'), await received('south')]).toEqual([3, 1]);
    expect(ledger.topics(TENANT)).toMatchObject([{ events: 4 }]);
    expect(journal.receipts(TENANT)).toBe(4);
    expect(journal.find(TENANT, '3')).toEqual([{ partition: 0, position: 3 }]);
    expect(journal.find(TENANT, '4')).toEqual([{ partition: 0, position: 4 }]);
  });
});
