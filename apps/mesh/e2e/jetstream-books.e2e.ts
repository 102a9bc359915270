import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LedgerFinding, SubscriptionStatus } from '@eventmesh/adapter-api';
import { eventually, tempDir } from '@eventmesh/testing';
import { SiteMesh } from './faults/site-mesh.ts';
import { Taker } from './faults/taker.ts';

const TEST_MS = 90_000;
/** Until a site is itself again: leases run out, streams and stores are opened anew. */
const RECOVERY_MS = 40_000;

const dir = tempDir('jetstream-books');
let mesh: SiteMesh;

beforeAll(async () => {
  mesh = await SiteMesh.start(dir.path, { west: 1 }, { jetstream: true });
}, 120_000);

afterAll(async () => {
  await mesh?.stop();
  dir.remove();
}, 60_000);

const west = () => mesh.emesher(0);
const recovers = <T>(attempt: () => T | Promise<T>) =>
  eventually(attempt, { timeoutMs: RECOVERY_MS });

/** They are told when they are stored: one publish is one batch. */
async function publish(topic: string, ...ids: readonly string[]): Promise<void> {
  const client = mesh.client(west(), 'publisher');
  const stream = client.publisher();
  await stream.publishMany(
    ids.map((id) => ({ topic, event: { id, source: '/books', type: 't' } })),
  );
  await stream.close();
  client.close();
}

const NAME = 'kept';
/** It keeps what it gets, so that all that follows is looked at again. */
const attach = () =>
  recovers(() =>
    Taker.attach(mesh.client(west(), 'subscriber'), {
      subscription: { name: NAME, topicFilters: ['a/#'], ackTimeoutMs: 600_000 },
      settle: () => undefined,
    }),
  );

async function status(): Promise<SubscriptionStatus> {
  const path = `/v1/subscriptions/${NAME}`;
  return (await mesh.manage(west()).get<{ status: SubscriptionStatus }>(path)).status;
}

async function differences(): Promise<LedgerFinding[]> {
  const path = '/v1/ledger/check';
  const { findings } = await mesh.manage(west()).get<{ findings: LedgerFinding[] }>(path);
  return findings.filter(({ verdict }) => verdict === 'difference');
}

/** One event is held, the others are not for it. */
const expectFiltered = (count: number) =>
  recovers(async () => {
    expect(await status()).toMatchObject({ considered: 1 + count, filtered: count, held: 1 });
    expect(await differences()).toEqual([]);
  });

describe('the books of a subscription on JetStream with an event that is not settled', () => {
  it(
    'count what was filtered behind it once, however often the consumer leaves or the emesher dies',
    async () => {
      let taker = await attach();
      await publish('a/x', 'kept');
      await recovers(() => expect(taker.ids).toEqual(['kept']));
      await publish('b/x', ...Array.from({ length: 9 }, (_, n) => `other-${n}`));
      await expectFiltered(9);
      for (let round = 1; round <= 3; round++) {
        await taker.leave();
        await publish('b/x', `away-${round}`);
        taker = await attach();
        await recovers(() => expect(taker.ids).toEqual(['kept']));
        await expectFiltered(9 + round);
      }
      await west().process.kill();
      await west().process.start();
      await taker.leave();
      await recovers(() => publish('b/x', 'after'));
      taker = await attach();
      await recovers(() => expect(taker.ids).toEqual(['kept']));
      await expectFiltered(13);
      await taker.leave();
    },
    TEST_MS,
  );
});
