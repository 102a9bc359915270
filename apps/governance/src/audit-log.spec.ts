import { afterEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { prefixed } from '@eventmesh/kv-api';
import type { AuditEntry } from '@eventmesh/proto-gen/governance';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import type { EventStore } from '@eventmesh/store-api';
import { tempDir } from '@eventmesh/testing';
import { CHAIN_START, chained, decodeRecord, encodeRecord } from './audit-chain.ts';
import { AUDIT_LOG, AuditLog } from './audit-log.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const never = new AbortController().signal;

async function stores() {
  const dir = tempDir('audit');
  stops.push(() => dir.remove());
  const store = await openEmbeddedStore({ dir: `${dir.path}/store` });
  stops.push(() => store.close());
  const kv = await openEmbeddedKv({ dir: `${dir.path}/kv` });
  stops.push(() => kv.close());
  return { store, kv: prefixed(kv, 'audit/') };
}

type Stores = Awaited<ReturnType<typeof stores>>;

async function open({ store, kv }: { store: EventStore; kv: Stores['kv'] }) {
  const errors: MeshError[] = [];
  const log = new AuditLog(store, kv, {
    waitingMax: 20_000,
    onAppended: () => undefined,
    onError: (error) => void errors.push(error),
  });
  await log.start();
  stops.push(() => log.close());
  return { log, errors };
}

const entry = (n: number, tenant = 'default') => ({
  timeMs: BigInt(n),
  tenant,
  action: 'put-topic',
  resource: `t/${n}`,
  outcome: 'done',
  count: 1n,
});

async function readAll(store: EventStore): Promise<Uint8Array[]> {
  const records: Uint8Array[] = [];
  const from = { kind: 'position', position: 1 } as const;
  for await (const item of store.read({ log: AUDIT_LOG, partition: 0, from, stopAtEnd: true })) {
    if (item.kind === 'batch') records.push(...item.records);
  }
  return records;
}

/** Puts records of somebody's making into a store's audit, as one who has its disk could. */
async function forge(store: EventStore, records: readonly Uint8Array[]): Promise<void> {
  const spec = { partitions: 1, retentionMs: 0, retentionBytes: 0, duplicateWindow: 0 };
  await store.ensureLog({ name: AUDIT_LOG, ...spec });
  if (records.length === 0) return;
  await store.append({
    log: AUDIT_LOG,
    partition: 0,
    records: records.map((bytes) => ({ bytes })),
  });
}

describe('the audit log', () => {
  it('numbers entries without gaps and chains them, over a restart too', async () => {
    const both = await stores();
    const first = await open(both);
    await Promise.all([1, 2, 3].map((n) => first.log.append([entry(n), entry(n + 10)])));
    await first.log.close();
    const second = await open(both);
    await second.log.append([entry(99)]);
    const entries = await second.log.list('default', 0, 100, never);
    expect(entries.map(({ sequence }) => Number(sequence))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await second.log.verify(never)).toEqual({ intact: true, brokenSequence: 0, entries: 7 });
    expect(first.errors).toEqual([]);
  });

  it('lists one tenant, from a sequence, in pages', async () => {
    const { log } = await open(await stores());
    await log.append([entry(1), entry(2, 'acme'), entry(3), entry(4), entry(5, 'acme')]);
    const list = async (tenant: string, after: number, limit: number) =>
      (await log.list(tenant, after, limit, never)).map(({ sequence }) => Number(sequence));
    expect(await list('default', 0, 2)).toEqual([1, 3]);
    expect(await list('default', 3, 2)).toEqual([4]);
    expect(await list('acme', 0, 10)).toEqual([2, 5]);
    expect(await list('default', 100, 10)).toEqual([]);
  });

  it('takes a batch that is sent again once, over a restart too', async () => {
    const both = await stores();
    const first = await open(both);
    await first.log.append([entry(1), entry(2)]);
    await first.log.append([entry(2), entry(3), entry(3)]);
    await first.log.close();
    const second = await open(both);
    await second.log.append([entry(3), entry(1)]);
    expect(await second.log.verify(never)).toMatchObject({ intact: true, entries: 3 });
  });

  it('keeps one chain when two replicas write at the same time', async () => {
    const both = await stores();
    const [a, b] = [await open(both), await open(both)];
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? a : b).log.append([entry(n)])),
    );
    expect(await a.log.verify(never)).toMatchObject({ intact: true, entries: 40 });
  });

  it('is Unavailable while the store is, and goes on when it is back', async () => {
    const both = await stores();
    let away = true;
    const log = new AuditLog(
      () =>
        away ? Promise.reject(new MeshError('Unavailable', 'away')) : Promise.resolve(both.store),
      both.kv,
      { waitingMax: 20_000, onAppended: () => undefined, onError: () => undefined },
    );
    await log.start();
    await expect(log.append([entry(1)])).rejects.toMatchObject({ code: 'Unavailable' });
    away = false;
    await log.append([entry(1)]);
    expect(await log.verify(never)).toMatchObject({ intact: true, entries: 1 });
    await log.close();
  });

  it('refuses more entries at once than a batch has', async () => {
    const { log } = await open(await stores());
    const many = Array.from({ length: 1001 }, (_, n) => entry(n));
    await expect(log.append(many)).rejects.toMatchObject({ code: 'ResourceExhausted' });
    await expect(log.append([{ action: '' }])).rejects.toMatchObject({ code: 'InvalidArgument' });
  });

  it('keeps what is hashed the same when the text is not well-formed', async () => {
    const { log } = await open(await stores());
    await log.append([{ ...entry(1), resource: `${'x'.repeat(4095)}😀`, reason: '\ud800' }]);
    expect(await log.verify(never)).toMatchObject({ intact: true });
  });
});

describe('verification finds', () => {
  const edit = (change: Partial<AuditEntry>) => (records: Uint8Array[]) =>
    records.map((bytes, index) =>
      index === 2 ? encodeRecord({ ...decodeRecord(bytes), ...change }) : bytes,
    );
  const rechained = (records: Uint8Array[]) => {
    let previous: AuditEntry | undefined;
    return records.map((bytes, index) => {
      const changed = decodeRecord(bytes);
      previous = chained(previous, index === 2 ? { ...changed, outcome: 'refused' } : changed);
      return encodeRecord(previous);
    });
  };

  it.each<[string, (records: Uint8Array[]) => Uint8Array[], number]>([
    ['a changed outcome', edit({ outcome: 'refused' }), 3],
    ['a changed time', edit({ timeMs: 77n }), 3],
    ['a changed count', edit({ count: 2n }), 3],
    ['a changed hash', edit({ hash: CHAIN_START }), 3],
    ['a removed entry', (records) => records.filter((_, index) => index !== 2), 3],
    ['a removed first entry', (records) => records.slice(1), 1],
    ['entries that changed places', ([a, b, c, d, e]) => [a!, c!, b!, d!, e!], 2],
    ['an entry that is there twice', ([a, b, c, d, e]) => [a!, b!, b!, c!, d!, e!], 3],
    ['an entry that is not readable', ([a, b]) => [a!, b!, Uint8Array.of(255, 255)], 3],
    ['a cut off end', (records) => records.slice(0, 3), 4],
    ['an emptied log', () => [], 1],
    ['a chain that was made anew', rechained, 5],
  ])('%s', async (_, tamper, broken) => {
    const honest = await stores();
    const { log } = await open(honest);
    await log.append([1, 2, 3, 4, 5].map((n) => entry(n)));
    await log.close();
    const records = await readAll(honest.store);

    const other = await stores();
    await forge(other.store, tamper(records));
    const forged = await open({ store: other.store, kv: honest.kv });
    expect(await forged.log.verify(never)).toMatchObject({ intact: false, brokenSequence: broken });
  });
});
