import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { EventStore, ReadItem } from '@eventmesh/store-api';
import { openEmbeddedStore } from './index.ts';
import { WAIT_MS_MAX } from './right-of-way.ts';

const LOG = { name: 'log', partitions: 1, retentionMs: 0, retentionBytes: 0, duplicateWindow: 100 };

describe('the embedded store', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'store.embedded-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const append = (store: EventStore, text: string, count = 1, size = 3000) =>
    store.append({
      log: 'log',
      partition: 0,
      records: Array.from({ length: count }, () => ({ bytes: Buffer.alloc(size, text) })),
    });

  /** Turns one bit in every place of the file that has the text. */
  const damage = (text: string) => {
    const file = join(dir, 'data.mdb');
    const bytes = readFileSync(file);
    let found = 0;
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + text.length)) {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      found++;
    }
    writeFileSync(file, bytes);
    expect(found).toBeGreaterThan(0);
  };

  /**
   * Whether the next block of a reader waits for the receipt of an append, while something else goes
   * on; a reader that has waited as long as it may has done so, too.
   */
  async function givesWay(meanwhile: (store: EventStore) => unknown): Promise<boolean> {
    const store = await openEmbeddedStore({ dir });
    await store.ensureLog(LOG);
    await append(store, 'old', 100);
    const from = { kind: 'position', position: 0 } as const;
    const items = store.read({ log: 'log', partition: 0, from })[Symbol.asyncIterator]();
    await items.next();
    const begun = meanwhile(store);
    await new Promise((resolve) => process.nextTick(resolve));
    const order: string[] = [];
    const sinceMs = performance.now();
    let blockMs = 0;
    const receipt = append(store, 'new').then(() => order.push('receipt'));
    const block = items.next().then(() => {
      order.push('block');
      blockMs = performance.now() - sinceMs;
    });
    await Promise.all([begun, receipt, block]);
    await items.return?.();
    await store.close();
    // Timers count whole milliseconds.
    return order[0] === 'receipt' || blockMs > WAIT_MS_MAX - 1;
  }

  it('refuses to start when the newest block of a partition is damaged', async () => {
    const store = await openEmbeddedStore({ dir });
    await store.ensureLog(LOG);
    await append(store, 'first-');
    await append(store, 'newest-');
    await store.close();
    damage('newest-');
    await expect(openEmbeddedStore({ dir })).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringContaining('log "log", partition 0, position 2'),
    });
  });

  it('answers DataLoss when a reader reaches a damaged block, and serves the rest', async () => {
    let store = await openEmbeddedStore({ dir });
    await store.ensureLog(LOG);
    await append(store, 'first-');
    await append(store, 'middle-');
    await append(store, 'newest-');
    await store.close();
    damage('middle-');
    store = await openEmbeddedStore({ dir });
    const read = (position: number) =>
      drain(
        store.read({
          log: 'log',
          partition: 0,
          from: { kind: 'position', position },
          stopAtEnd: true,
        }),
      );
    await expect(read(1)).rejects.toMatchObject({ code: 'DataLoss' });
    expect(await read(3)).toEqual([3]);
    await store.close();
  });

  it('belongs to one owner at a time and is free again after close', async () => {
    const store = await openEmbeddedStore({ dir });
    await expect(openEmbeddedStore({ dir })).rejects.toMatchObject({
      code: 'FailedPrecondition',
      details: { reason: 'FOLDER_IN_USE' },
    });
    await store.close();
    await (await openEmbeddedStore({ dir })).close();
  });

  it('has every acknowledged record after kill -9, without a hole, and takes the folder over', async () => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, '../fixtures/appender.ts'), dir],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let acked = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acked = Math.max(acked, Number(line));
      if (acked > 4000 && !child.killed) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const store = await openEmbeddedStore({ dir });
    const from = { kind: 'position', position: 1 } as const;
    const positions = await drain(store.read({ log: 'log', partition: 0, from, stopAtEnd: true }));
    expect(positions.length).toBeGreaterThanOrEqual(acked);
    expect(positions).toEqual(positions.map((_position, index) => index + 1));
    await store.close();
  });

  it('refuses more than may wait for a commit, at once and retryably', async () => {
    const store = await openEmbeddedStore({ dir, pendingBytesMax: 10_000 });
    await store.ensureLog(LOG);
    const results = await Promise.allSettled([append(store, 'a', 3), append(store, 'b', 3)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({
      code: 'ResourceExhausted',
      details: { reason: 'STORE_BUSY' },
    });
    expect((await append(store, 'c')).positions).toEqual([4]);
    await store.close();
  });

  it('trims more blocks than one commit may remove', async () => {
    const store = await openEmbeddedStore({ dir });
    await store.ensureLog(LOG);
    for (let n = 0; n < 600; n++) await append(store, 'x', 1, 100);
    await store.trim('log', 0, 560);
    const partition = (await store.logInfo('log'))?.partitions[0];
    expect(partition).toEqual({ partition: 0, first: 560, last: 600, bytes: 41 * 100 });
    await store.close();
  });

  it('gives the receipt of an append in flight before it reads on in what is old', async () => {
    expect(await givesWay(() => undefined)).toBe(true);
  });

  it('gives way to a lone append also when it comes during a commit of cursors', async () => {
    const id = { log: 'log', partition: 0, subscription: 's' };
    const cursor = { floor: 1, epoch: 1, settled: [], state: new Uint8Array(0) };
    expect(await givesWay((store) => store.commitCursors([{ id, cursor }]))).toBe(true);
  });

  it('finds its place by time among many blocks', async () => {
    let clock = 1_000_000;
    const store = await openEmbeddedStore({ dir, now: () => clock });
    await store.ensureLog(LOG);
    for (let n = 0; n < 50; n++) {
      clock += 10;
      await append(store, 'x', 3, 10);
    }
    clock -= 100_000; // A clock that goes back does not put records into the past.
    await append(store, 'x', 1, 10);
    const at = async (timeMs: number) => {
      const from = { kind: 'time', timeMs } as const;
      return (await drain(store.read({ log: 'log', partition: 0, from, stopAtEnd: true })))[0];
    };
    expect(await at(0)).toBe(1);
    expect(await at(1_000_010)).toBe(1);
    expect(await at(1_000_011)).toBe(4);
    expect(await at(1_000_250)).toBe(73);
    expect(await at(1_000_500)).toBe(148);
    expect(await at(1_000_501)).toBeUndefined();
    await store.close();
  });
});

async function drain(items: AsyncIterable<ReadItem>): Promise<number[]> {
  const positions: number[] = [];
  for await (const item of items) if (item.kind === 'batch') positions.push(...item.positions);
  return positions;
}
