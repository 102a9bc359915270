import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { seededRandom, tempDir, type TempDir } from '@eventmesh/testing';
import { open } from 'lmdb';
import { openEmbeddedStore } from './index.ts';

const LOG = { name: 'log', partitions: 1, retentionMs: 0, retentionBytes: 0, duplicateWindow: 100 };
const COUNT = 150;
const SEQUENCE = 987_654;
const CURSOR = { log: 'log', partition: 0, subscription: 's' };
const START = { kind: 'position', position: 1 } as const;
const READER = join(import.meta.dirname, '../fixtures/reader.ts');
const FLIPS = 12;
/** The first two pages: LMDB keeps its roots there, and has no checksum of them. */
const META_BYTES = 2 * 4096;

const text = (n: number) => `record ${n};`.repeat(n % 7 === 0 ? 600 : 20);

describe('damage under the embedded store', () => {
  let dir: TempDir;
  let whole: string;
  beforeEach(async () => {
    dir = tempDir('store-damage');
    whole = join(dir.path, 'whole');
    const store = await openEmbeddedStore({ dir: whole });
    await store.ensureLog(LOG);
    for (let n = 1; n <= COUNT; n++) {
      await store.append({
        log: 'log',
        partition: 0,
        records: [{ bytes: Buffer.from(text(n)), dedupKey: `k${n}` }],
        ...(n === COUNT ? { producer: { id: 'p', previous: 0, last: SEQUENCE } } : {}),
      });
    }
    const cursor = { floor: 100, settled: [], epoch: 1, state: new Uint8Array(0) };
    await store.commitCursors([{ id: CURSOR, cursor }]);
    await store.close();
  });
  afterEach(() => dir.remove());

  /** A copy of the folder with another data file. */
  const changed = (change: (bytes: Buffer) => Buffer): string => {
    const path = join(dir.path, 'changed');
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
    writeFileSync(join(path, 'data.mdb'), change(readFileSync(join(whole, 'data.mdb'))));
    return path;
  };
  const flip = (what: string) => (bytes: Buffer) => {
    let found = 0;
    for (let at = bytes.indexOf(what); at !== -1; at = bytes.indexOf(what, at + what.length)) {
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      found++;
    }
    expect(found).toBeGreaterThan(0);
    return bytes;
  };

  it.each([0.02, 0.3, 0.7])(
    'refuses to start on %d of its file, and leaves it as it is',
    async (part) => {
      const path = changed((bytes) => bytes.subarray(0, Math.floor(bytes.length * part)));
      const { size } = statSync(join(path, 'data.mdb'));
      await expect(openEmbeddedStore({ dir: path })).rejects.toMatchObject({ code: 'DataLoss' });
      expect(statSync(join(path, 'data.mdb')).size).toBe(size);
      // Nobody holds the folder afterwards, and nothing was made of it.
      await expect(openEmbeddedStore({ dir: path })).rejects.toMatchObject({ code: 'DataLoss' });
    },
  );

  it('refuses to start on an empty file', async () => {
    const path = changed(() => Buffer.alloc(0));
    await expect(openEmbeddedStore({ dir: path })).rejects.toMatchObject({
      code: 'DataLoss',
      details: { reason: 'FILE_CUT_OFF' },
    });
  });

  it('starts without the end of its file only when nothing of use was there', async () => {
    // What a commit frees at the end of the file may never have been written.
    const outcomes = new Set<string>();
    for (let pages = 1; pages <= 12; pages++) {
      const path = changed((bytes) => bytes.subarray(0, bytes.length - pages * 4096));
      try {
        const store = await openEmbeddedStore({ dir: path });
        const read = store.read({ log: 'log', partition: 0, from: START, stopAtEnd: true });
        let count = 0;
        for await (const item of read) if (item.kind === 'batch') count += item.records.length;
        expect([pages, count]).toEqual([pages, COUNT]);
        expect(await store.loadCursor(CURSOR)).toMatchObject({ floor: 100 });
        await store.close();
        outcomes.add('whole');
      } catch (error) {
        expect(error).toMatchObject({ code: 'DataLoss' });
        outcomes.add('refused');
      }
    }
    expect(outcomes).toContain('refused');
  });

  it('answers DataLoss for a damaged cursor or sequence, by name', async () => {
    const cursor = await openEmbeddedStore({ dir: changed(flip('"floor":100')) });
    await expect(cursor.loadCursor(CURSOR)).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringContaining('subscription "s" in log "log", partition 0'),
    });
    await cursor.close();
    const sequence = await openEmbeddedStore({ dir: changed(flip(` ${SEQUENCE}`)) });
    await expect(sequence.producerSequence('log', 0, 'p')).rejects.toMatchObject({
      code: 'DataLoss',
      message: expect.stringContaining('producer "p"'),
    });
    await sequence.close();
  });

  it.each([
    { which: 'the newest block', hidden: 1 },
    { which: 'all blocks', hidden: Infinity },
  ])('refuses to start when $which cannot be found any more', async ({ hidden }) => {
    const path = changed((bytes) => bytes);
    const env = open({ path, encoding: 'binary', keyEncoding: 'binary' });
    const blocks = env.openDB({ name: 'blocks', encoding: 'binary', keyEncoding: 'binary' });
    const keys = [...blocks.getKeys({ reverse: true, limit: Math.min(hidden, COUNT) })];
    for (const key of keys) blocks.removeSync(key);
    await env.close();
    await expect(openEmbeddedStore({ dir: path })).rejects.toMatchObject({
      code: 'DataLoss',
      details: { reason: 'POSITION_MISSING', facts: { to: String(COUNT) } },
    });
  });

  it('refuses to start when a log that has records cannot be found any more', async () => {
    const path = changed((bytes) => bytes);
    const env = open({ path, encoding: 'binary', keyEncoding: 'binary' });
    const logs = env.openDB({ name: 'logs', encoding: 'binary', keyEncoding: 'binary' });
    expect(logs.removeSync(Buffer.from(LOG.name))).toBe(true);
    await env.close();
    await expect(openEmbeddedStore({ dir: path })).rejects.toMatchObject({
      code: 'DataLoss',
      details: { reason: 'LOG_MISSING' },
    });
  });

  it('gives out every record as it was stored or says that it cannot, whatever bit is flipped', () => {
    const random = seededRandom(Date.now() % 1_000_000);
    const wanted = Array.from({ length: COUNT }, (_each, i) => text(i + 1));
    for (let n = 0; n < FLIPS; n++) {
      let bit = 0;
      const path = changed((bytes) => {
        bit = random.int(META_BYTES * 8, bytes.length * 8 - 1);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return bytes;
      });
      copyFileSync(join(path, 'data.mdb'), join(dir.path, 'before.mdb'));
      const { stdout, status, signal } = spawnSync(process.execPath, [READER, path], {
        encoding: 'utf8',
      });
      const about = { seed: random.seed, n, bit, status, signal };
      // LMDB may end the process at a damaged page of its own: that starts no store either.
      if (signal !== null) continue;
      expect({ ...about, stdout: stdout.slice(0, 1) }).toEqual({ ...about, stdout: '{' });
      const { records, error } = JSON.parse(stdout) as { records: string[]; error?: string };
      const told = error === 'DataLoss' || records.length === COUNT;
      expect({ ...about, told, error }).toEqual({ ...about, told: true, error });
      expect([about, records]).toEqual([about, wanted.slice(0, records.length)]);
    }
  });
});
