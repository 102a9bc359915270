import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { systemClock, type KvOperation } from '@eventmesh/kv-api';
import { EventTypeSchema, QuotaSchema, TopicSchema } from '@eventmesh/proto-gen/governance';
import { everyEntry } from '@eventmesh/rpc';
import { eventually } from '@eventmesh/testing';
import { startGovernance, type Governance } from '../test/governance-fixture.ts';
import { putEventType, putQuota, putTopic } from './entries.ts';
import { PolicyState } from './policy-state.ts';

const TENANT = 'default';
/** As many entries as one commit may have. */
const COMMIT = 126;

let governance: Governance;
let writer: PolicyState;

beforeEach(async () => {
  governance = await startGovernance();
  const onError = (error: Error) => {
    throw error;
  };
  writer = new PolicyState(governance.kv, { historyMax: 10, clock: systemClock, onError });
  await writer.start();
});

afterEach(async () => {
  await writer.close();
  await governance.stop();
});

const reader = () => governance.as('reader');
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

/** Stores entries as another replica does. */
async function put(operations: readonly KvOperation[], seen: () => Promise<unknown[]>) {
  for (let from = 0; from < operations.length; from += COMMIT) {
    await writer.commit(() => operations.slice(from, from + COMMIT));
  }
  await eventually(async () => expect((await seen()).length).toBeGreaterThan(0));
}

async function all<T>(
  ask: (pageToken: string) => Promise<{ entries: readonly T[]; nextPageToken: string }>,
): Promise<T[]> {
  const found: T[] = [];
  for await (const entry of everyEntry(ask)) found.push(entry);
  return found;
}

describe('lists in pages', () => {
  it('have each of thousands of topics once', async () => {
    const filters = numbers(2500).map((number) => `orders/${number}`);
    const topics = filters.map((topicFilter) =>
      create(TopicSchema, { tenant: TENANT, topicFilter }),
    );
    await put(topics.map(putTopic), async () => {
      const { topics: first, nextPageToken } = await reader().listTopics({ pageSize: 1000 });
      return nextPageToken === '' ? [] : first;
    });
    const sizes: number[] = [];
    const found = await all(async (pageToken) => {
      const page = await reader().listTopics({ pageSize: 1001, pageToken });
      sizes.push(page.topics.length);
      return { entries: page.topics, nextPageToken: page.nextPageToken };
    });
    expect(sizes[0]).toBe(1000);
    expect(found.map(({ topicFilter }) => topicFilter).sort()).toEqual(filters.sort());
  }, 60_000);

  it('are of event types, quotas and schedules alike, and go on with no other list', async () => {
    const types = numbers(3).map((number) =>
      putEventType(create(EventTypeSchema, { tenant: TENANT, type: `type.${number}` })),
    );
    const quotas = numbers(3).map((number) =>
      putQuota(create(QuotaSchema, { tenant: TENANT, principal: `p${number}` })),
    );
    await put([...types, ...quotas], async () => (await reader().listQuotas({})).quotas);
    const first = await reader().listEventTypes({ pageSize: 2 });
    const { nextPageToken: pageToken } = first;
    const rest = await reader().listEventTypes({ pageSize: 2, pageToken });
    const told = [...first.eventTypes, ...rest.eventTypes].map(({ type }) => type);
    expect([told.sort(), rest.nextPageToken]).toEqual([['type.0', 'type.1', 'type.2'], '']);

    const found = await all(async (token) => {
      const page = await reader().listQuotas({ pageSize: 1, pageToken: token });
      return { entries: page.quotas, nextPageToken: page.nextPageToken };
    });
    expect(found.map(({ principal }) => principal)).toEqual(['p0', 'p1', 'p2']);

    const refusal = { code: 'InvalidArgument', details: { field: 'page_token' } };
    await expect(reader().listQuotas({ pageToken })).rejects.toMatchObject(refusal);
    await expect(reader().listTopics({ pageToken })).rejects.toMatchObject(refusal);
    await expect(reader().listSchedules({ pageToken })).rejects.toMatchObject(refusal);
    await expect(reader().listAudit({ pageToken })).rejects.toMatchObject(refusal);
    const elsewhere = { tenant: 'acme', pageToken };
    await expect(governance.as('admin').listEventTypes(elsewhere)).rejects.toMatchObject(refusal);
  });

  it('are of audit entries by sequence, from the one asked for', async () => {
    const admin = governance.as('admin');
    for (const number of numbers(7)) await admin.putQuota({ quota: { principal: `p${number}` } });
    const found = await all(async (pageToken) => {
      const page = await admin.listAudit({ afterSequence: 2n, pageSize: 2, pageToken });
      expect(page.entries.length).toBeLessThanOrEqual(2);
      return { entries: page.entries, nextPageToken: page.nextPageToken };
    });
    expect(found.map(({ sequence }) => Number(sequence))).toEqual([3, 4, 5, 6, 7]);
    const { nextPageToken: pageToken } = await admin.listAudit({ pageSize: 1 });
    await expect(admin.listAudit({ afterSequence: 2n, pageToken })).rejects.toMatchObject({
      details: { field: 'page_token' },
    });
  });
});
