import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadConfig, section } from '@eventmesh/config';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { dataPlaneConfig } from '../config.ts';
import { Logs } from '../logs.ts';
import { Chains } from './chains.ts';
import { Marks } from './marks.ts';
import { SeenBook } from './seen.ts';

const logger = createLogger({ level: 'silent', service: 'test', site: 'east' });
const config = loadConfig(section('', dataPlaneConfig), { value: { log: { partitions: 1 } } });
const FENCED = { code: 'Aborted', reason: 'LINK_FENCED' };
let dir: TempDir;
let store: EventStore;

beforeEach(async () => {
  dir = tempDir('chains');
  store = await openEmbeddedStore({ dir: dir.path });
});
afterEach(async () => {
  await store.close();
  dir.remove();
});

/** A connection of an owner to one of the receiving site's emeshers, each with a memory of its own. */
function connection(epoch: number) {
  const chains = new Chains(
    { store, logger, logs: new Logs(store, config.log), seen: new SeenBook() },
    { site: 'west', epoch },
  );
  return { of: () => chains.of('t', 0) };
}

describe('the owner of a link, as the store of the receiving site keeps it', () => {
  it('is the newest one, over restarts and at every emesher', async () => {
    expect((await connection(5).of()).epoch).toBe(5);
    expect((await connection(6).of()).epoch).toBe(6);
    await expect(connection(5).of()).rejects.toMatchObject({
      ...FENCED,
      details: { facts: { epoch: '6' } },
    });
    expect((await connection(6).of()).epoch).toBe(6);
  });

  it('is not that of a version which does not tell, which goes on beside it', async () => {
    expect((await connection(6).of()).epoch).toBe(6);
    expect((await connection(0).of()).epoch).toBe(6);
    expect((await connection(6).of()).epoch).toBe(6);
  });

  it('fences a former one, connected elsewhere, with its next mark', async () => {
    const former = await connection(5).of();
    let fenced = 0;
    const marks = new Marks({ store, logger, progressInterval: 1, onFenced: () => fenced++ });
    const note = (last: number) =>
      new Promise<void>((resolve) => marks.note({ ...former, last, seen: [] }, resolve));
    await note(1);
    expect(fenced).toBe(0);
    await connection(6).of();
    void note(2);
    await eventually(() => expect(fenced).toBe(1));
    await marks.close();
    expect((await store.loadCursor(former.id))?.epoch).toBe(6);
  });
});
