import { afterAll, beforeAll } from '@jest/globals';
import type { MeshClient } from '@eventmesh/sdk';
import { tempDir } from '@eventmesh/testing';
import type { HttpClient } from '../../src/cli/http-client.ts';
import { Judge, RECOVERY_MS } from './judge.ts';
import { Load } from './load.ts';

const START_MS = 120_000;
const STOP_MS = 60_000;

/** Sites west and east of whatever make. */
interface LoadedMesh {
  client(site: 'west' | 'east', user: 'publisher' | 'subscriber'): MeshClient;
  admin(site: 'west' | 'east'): HttpClient;
  stop(): Promise<void>;
}

export interface UnderLoad<M extends LoadedMesh> {
  readonly mesh: M;
  readonly load: Load;
  readonly judge: Judge;
}

/**
 * A mesh for all tests of a file, with events that flow from west to east all the time.
 * @param ready given all parts before the first test
 * @param atEnd done before the load is stopped
 */
export function underLoad<M extends LoadedMesh>(
  name: string,
  start: (dir: string) => Promise<M>,
  ready: (parts: UnderLoad<M>) => void,
  atEnd: (mesh: M) => void = () => undefined,
): void {
  const dir = tempDir(name);
  let mesh: M | undefined;
  let load: Load | undefined;

  beforeAll(async () => {
    const started = await start(dir.path);
    mesh = started;
    load = new Load({
      publisher: () => started.client('west', 'publisher'),
      subscriber: () => started.client('east', 'subscriber'),
    });
    ready({ mesh: started, load, judge: new Judge(load, started.admin('east')) });
    await load.start();
    await load.flows(RECOVERY_MS);
  }, START_MS);

  afterAll(async () => {
    if (mesh !== undefined) atEnd(mesh);
    await load?.stop();
    await mesh?.stop();
    dir.remove();
  }, STOP_MS);
}
