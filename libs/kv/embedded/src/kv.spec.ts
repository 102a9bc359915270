import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { KvWatchEvent } from '@eventmesh/kv-api';
import { eventually, fakeClock, tempDir, type TempDir } from '@eventmesh/testing';
import { openEmbeddedKv, type EmbeddedKv } from './kv.ts';
import type { EmbeddedKvOptions } from './options.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** Writes keys one by one and prints the number of each that is acknowledged, until it is killed. */
const WRITER = `
  const { openEmbeddedKv } = await import(process.argv[1]);
  const kv = await openEmbeddedKv({ dir: process.argv[2] });
  for (let i = 1; i < 100_000; i += 1) {
    await kv.put('key/' + String(i).padStart(6, '0'), new Uint8Array(100));
    process.stdout.write(i + '\\n');
  }
`;

describe('the embedded Kv', () => {
  let dir: TempDir;
  const handles: EmbeddedKv[] = [];
  beforeEach(() => {
    dir = tempDir('kv');
  });
  afterEach(async () => {
    await Promise.all(handles.splice(0).map((kv) => kv.close()));
    dir.remove();
  });
  const open = async (options: Partial<EmbeddedKvOptions> = {}) => {
    const kv = await openEmbeddedKv({ dir: dir.path, ...options });
    handles.push(kv);
    return kv;
  };
  const firstEvent = async (kv: EmbeddedKv, fromRevision: number): Promise<KvWatchEvent> => {
    for await (const event of kv.watch('', { fromRevision })) return event;
    throw new Error('the watch ended without an event');
  };

  it('forgets history beyond its bound of revisions, also when the bound was lowered', async () => {
    const kv = await open({ historyRevisionsMax: 5 });
    for (let i = 0; i < 8; i += 1) await kv.put('k', bytes(`${i}`));
    expect(await firstEvent(kv, 4)).toEqual({ type: 'compacted', revision: 4 });
    expect(await firstEvent(kv, 5)).toMatchObject({ type: 'changes', revision: 5 });
    await kv.close();
    const again = await open({ historyRevisionsMax: 2 });
    await again.put('k', bytes('x'));
    expect(await firstEvent(again, 8)).toEqual({ type: 'compacted', revision: 8 });
    expect(await firstEvent(again, 9)).toMatchObject({ revision: 9 });
  });

  it('forgets history beyond its bound of bytes, but never the newest revision', async () => {
    const kv = await open({ historyBytesMax: 1000 });
    for (let i = 0; i < 4; i += 1) await kv.put('k', new Uint8Array(400));
    expect(await firstEvent(kv, 3)).toMatchObject({ type: 'compacted' });
    expect(await firstEvent(kv, 4)).toMatchObject({ revision: 4 });
    await kv.put('k', new Uint8Array(5000));
    expect(await firstEvent(kv, 5)).toMatchObject({ type: 'compacted' });
    expect(await firstEvent(kv, 6)).toMatchObject({ revision: 6 });
  });

  it('ends a lease by its clock, at the deadline and not before', async () => {
    const clock = fakeClock();
    const kv = await open({ clock });
    const lease = await kv.grantLease(10_000);
    await kv.put('k', bytes('x'), { lease: lease.id });
    await clock.advance(6000);
    await lease.renew();
    await clock.advance(9999);
    expect(await kv.get('k')).toBeDefined();
    await clock.advance(1);
    await eventually(async () => expect(await kv.get('k')).toBeUndefined());
    await expect(lease.renew()).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('counts a lease over a restart, and gives it no more than its time when the clock is back', async () => {
    const clock = fakeClock(1_000_000);
    const kv = await open({ clock });
    const short = await kv.grantLease(10_000);
    const long = await kv.grantLease(50_000);
    await kv.put('short', bytes('x'), { lease: short.id });
    await kv.put('long', bytes('x'), { lease: long.id });
    await kv.close();
    const later = fakeClock(1_000_000 + 20_000);
    const second = await open({ clock: later });
    await later.advance(1);
    await eventually(async () => expect(await second.get('short')).toBeUndefined());
    expect(await second.get('long')).toBeDefined();
    await second.close();
    const back = fakeClock(0);
    const third = await open({ clock: back });
    await back.advance(50_001);
    await eventually(async () => expect(await third.get('long')).toBeUndefined());
  });

  it('gives up a lease when its time passed without a renewal, by the clock of the holder', async () => {
    const clock = fakeClock();
    const kv = await open({ clock });
    const lease = await kv.grantLease(9000);
    const lost: Error[] = [];
    lease.keepAlive((reason) => lost.push(reason));
    expect(() => lease.keepAlive(() => undefined)).toThrow('already kept alive');
    for (let i = 0; i < 10; i += 1) {
      await clock.advance(3000);
      // The renewal is a write to disk: the clock waits for it as real time would.
      await kv.ping();
      await kv.put('tick', bytes(`${i}`));
    }
    expect(lost).toEqual([]);
    await kv.lease(lease.id, 9000).revoke();
    await clock.advance(3000);
    await eventually(() => expect(lost).toHaveLength(1));
  });

  it('wakes the watch of one handle by the write of another, and closes with the last', async () => {
    const one = await open();
    const two = await open();
    const event = firstEvent(one, 2);
    await two.put('k', bytes('x'));
    expect(await event).toMatchObject({ revision: 2 });
    await one.close();
    await one.close();
    await expect(one.get('k')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(await two.get('k')).toBeDefined();
  });

  it('ends watches when its handle closes', async () => {
    const kv = await open();
    const next = kv.watch('', { fromRevision: 2 })[Symbol.asyncIterator]().next();
    await kv.close();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it('keeps every acknowledged write of a process that was killed, and takes its folder over', async () => {
    const args = ['--input-type=module', '-e', WRITER, import.meta.resolve('./kv.ts'), dir.path];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let acked = 0;
    const exited = once(child, 'exit');
    child.stdout.on('data', (chunk: Buffer) => {
      acked = Number(chunk.toString('utf8').trim().split('\n').at(-1));
    });
    await eventually(() => expect(acked).toBeGreaterThan(50));
    await expect(openEmbeddedKv({ dir: dir.path })).rejects.toMatchObject({
      code: 'FailedPrecondition',
      details: { reason: 'FOLDER_IN_USE' },
    });
    child.kill('SIGKILL');
    await exited;
    const kv = await open();
    const { entries, revision } = await kv.range('key/');
    expect(entries.length).toBeGreaterThanOrEqual(acked);
    expect(entries.map(({ key }) => key)).toEqual(
      entries.map((_, i) => `key/${String(i + 1).padStart(6, '0')}`),
    );
    expect(revision).toBe(entries.length + 1);
  });

  it.each([
    [{ historyRevisionsMax: 0 }, 'historyRevisionsMax'],
    [{ historyBytesMax: 0.5 }, 'historyBytesMax'],
    [{ dir: '' }, 'dir'],
  ])('refuses %j', async (options, field) => {
    await expect(open(options)).rejects.toMatchObject({
      code: 'InvalidArgument',
      details: { field },
    });
  });
});
