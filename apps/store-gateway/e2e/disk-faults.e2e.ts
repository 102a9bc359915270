import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MeshError } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import {
  eventually,
  missingMountRights,
  missingStrace,
  smallDisk,
  tamper,
  tempDir,
  type SmallDisk,
} from '@eventmesh/testing';
import { LOG, LOG_SPEC, record } from './load.ts';
import { startSite, type Site } from './site.ts';

const MIB = 1024 * 1024;
const RESUME_MS = 10_000;

const missing = missingMountRights() ?? missingStrace();
const faulting = missing === undefined ? it : it.skip;
const cleanUps: (() => Promise<void> | void)[] = [];

/** Appends until it fails; keeps what was acknowledged. */
class Writer {
  readonly acked = new Map<string, number>();
  #n = 0;

  async append(store: EventStore, count = 20): Promise<void> {
    const ids = Array.from({ length: count }, () => `0-${++this.#n}-0`);
    const records = ids.map((id) => ({ bytes: record(id, 10_000), dedupKey: id }));
    const { positions } = await store.append({ log: LOG, partition: 0, records });
    for (const [i, id] of ids.entries()) this.acked.set(id, positions[i] ?? 0);
  }

  async untilRefused(store: EventStore): Promise<MeshError> {
    for (;;) {
      try {
        await this.append(store);
      } catch (error) {
        return MeshError.from(error);
      }
    }
  }

  /** Ids of acknowledged records that are not, byte for byte, where they were said to be. */
  async lost(store: EventStore): Promise<string[]> {
    const stored = new Map<number, Buffer>();
    const from = { kind: 'position', position: 0 } as const;
    for await (const item of store.read({ log: LOG, partition: 0, from, stopAtEnd: true })) {
      if (item.kind !== 'batch') continue;
      for (const [i, at] of item.positions.entries()) {
        stored.set(at, Buffer.from(item.records[i] ?? []));
      }
    }
    const first = Math.min(...stored.keys());
    return [...this.acked]
      .filter(([id, at]) => at >= first && stored.get(at)?.equals(record(id, 10_000)) !== true)
      .map(([id]) => id);
  }
}

async function siteOn(kind: 'embedded' | 'jetstream', path: string): Promise<Site> {
  const config = tempDir('disk-faults');
  const site = await startSite(kind, path, config.path);
  cleanUps.unshift(async () => {
    await site.close();
    config.remove();
  });
  await site.store.ensureLog(LOG_SPEC);
  return site;
}

function disk(mebibytes: number): SmallDisk {
  const small = smallDisk(mebibytes);
  cleanUps.push(() => small.remove());
  return small;
}

/** Appends again within the time that is allowed, and says how long it took. */
async function resumed(writer: Writer, store: EventStore): Promise<number> {
  const start = performance.now();
  await eventually(() => writer.append(store), { timeoutMs: RESUME_MS });
  return performance.now() - start;
}

describe('the disk of a store', () => {
  if (missing !== undefined) {
    process.stderr.write(`\n*** DISK FAULTS ARE NOT TESTED HERE: ${missing} ***\n\n`);
  }
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0)) await cleanUp();
  });

  faulting(
    'that is full refuses appends on embedded, harms nothing, and is used again once it has room',
    async () => {
      const small = disk(24);
      const site = await siteOn('embedded', small.path);
      const writer = new Writer();
      for (let round = 0; round < 3; round++) {
        expect(await writer.untilRefused(site.store)).toMatchObject({
          code: 'ResourceExhausted',
          reason: 'DISK_FULL',
          retryable: true,
        });
      }
      expect(writer.acked.size).toBeGreaterThan(500);
      expect(await writer.lost(site.store)).toEqual([]);
      small.resize(64);
      expect(await resumed(writer, site.store)).toBeLessThan(RESUME_MS);
      expect(await writer.lost(site.store)).toEqual([]);
      await site.signal('SIGKILL');
      const again = await siteOn('embedded', small.path);
      expect(await writer.lost(again.store)).toEqual([]);
    },
    60_000,
  );

  faulting(
    'that JetStream may use no more of refuses appends, and is used again after a trim',
    async () => {
      const site = await siteOn('jetstream', disk(32).path);
      const writer = new Writer();
      await writer.untilRefused(site.store);
      expect(await writer.untilRefused(site.store)).toMatchObject({
        code: 'ResourceExhausted',
        reason: 'DISK_FULL',
      });
      expect(await writer.lost(site.store)).toEqual([]);
      await site.store.trim(LOG, 0, 1000);
      expect(await resumed(writer, site.store)).toBeLessThan(RESUME_MS);
      expect(await writer.lost(site.store)).toEqual([]);
    },
    60_000,
  );

  faulting(
    'that is full under nats-server gives no acknowledgement, until there is room and it restarts',
    async () => {
      const small = disk(48);
      const site = await siteOn('jetstream', small.path);
      const writer = new Writer();
      await writer.append(site.store);
      const filler = join(small.path, 'filler');
      writeFileSync(filler, Buffer.alloc(30 * MIB));
      const error = await writer.untilRefused(site.store);
      expect(['Unavailable', 'ResourceExhausted']).toContain(error.code);
      const { size } = writer.acked;
      await expect(writer.append(site.store)).rejects.toMatchObject({ retryable: true });
      expect(writer.acked.size).toBe(size);
      rmSync(filler);
      await site.nats?.restart();
      expect(await resumed(writer, site.store)).toBeLessThan(RESUME_MS);
      expect(await writer.lost(site.store)).toEqual([]);
    },
    60_000,
  );

  faulting(
    'whose sync fails once ends the embedded store, which acknowledges nothing any more',
    async () => {
      const dir = tempDir('disk-faults');
      cleanUps.push(() => dir.remove());
      const site = await siteOn('embedded', dir.path);
      const writer = new Writer();
      await writer.append(site.store);
      const tampering = await tamper(site.gateway.pid, 'fsync,fdatasync,msync', 'error=EIO:when=1');
      cleanUps.unshift(() => tampering.end());
      expect((await writer.untilRefused(site.store)).code).toBe('Unavailable');
      const { size } = writer.acked;
      // Only the first sync of a thread failed: who tries again is told that all is well.
      await expect(writer.append(site.store)).rejects.toMatchObject({ code: 'Unavailable' });
      expect(await site.gateway.ended).not.toBe(0);
      expect(writer.acked.size).toBe(size);
      expect(site.gateway.logs.map(({ msg }) => msg)).toContain(
        'a fault that nothing can go on after',
      );
      const again = await siteOn('embedded', dir.path);
      expect(await writer.lost(again.store)).toEqual([]);
      await writer.append(again.store);
    },
    60_000,
  );

  faulting(
    'whose syncs fail under nats-server gives no acknowledgement, and loses none',
    async () => {
      const dir = tempDir('disk-faults');
      cleanUps.push(() => dir.remove());
      const site = await siteOn('jetstream', dir.path);
      const writer = new Writer();
      await writer.append(site.store);
      const tampering = await tamper(site.nats?.pid ?? 0, 'fsync,fdatasync', 'error=EIO');
      cleanUps.unshift(() => tampering.end());
      expect((await writer.untilRefused(site.store)).code).toBe('Unavailable');
      const { size } = writer.acked;
      await expect(writer.append(site.store)).rejects.toMatchObject({ code: 'Unavailable' });
      expect(writer.acked.size).toBe(size);
      await tampering.end();
      await site.nats?.restart();
      expect(await resumed(writer, site.store)).toBeLessThan(RESUME_MS);
      expect(await writer.lost(site.store)).toEqual([]);
    },
    90_000,
  );

  // 100 MB at once are far more than the gateway lets wait for a store; nats-server syncs each
  // message of a batch and is slower.
  faulting.each([
    ['embedded', 100],
    ['jetstream', 15],
  ] as const)(
    'that is slow makes appends of %s slow, and no memory grow',
    async (kind, appends) => {
      const dir = tempDir('disk-faults');
      cleanUps.push(() => dir.remove());
      const site = await siteOn(kind, dir.path);
      const writer = new Writer();
      await writer.append(site.store);
      const slow = kind === 'embedded' ? site.gateway.pid : (site.nats?.pid ?? 0);
      const tampering = await tamper(slow, 'fsync,fdatasync', 'delay_enter=200000');
      cleanUps.unshift(() => tampering.end());
      const before = residentBytes(site.gateway.pid);
      const outcomes = await Promise.allSettled(
        Array.from({ length: appends }, () => writer.append(site.store, 100)),
      );
      expect(tampering.count).toBeGreaterThan(1);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected')
          expect(outcome.reason).toMatchObject({ retryable: true });
      }
      expect(residentBytes(site.gateway.pid) - before).toBeLessThan(256 * MIB);
      await tampering.end();
      expect(await resumed(writer, site.store)).toBeLessThan(RESUME_MS);
      expect(await writer.lost(site.store)).toEqual([]);
    },
    90_000,
  );
});

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
