import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LostRange } from '@eventmesh/adapter-api';
import { loadConfig, section } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { NO_HANDLING, decodeRecord, encodeEvent, encodeRecord } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { eventually, tempDir, type TempDir } from '@eventmesh/testing';
import { dataPlaneConfig } from '../../config.ts';
import { Followers } from '../../follow/followers.ts';
import { Journal } from '../../inspect/journal.ts';
import { Logs } from '../../logs.ts';
import { emesherMetrics } from '../../metrics.ts';
import { LinkBooks } from '../link-books.ts';
import { LostRanges } from '../lost-ranges.ts';
import { RouteHistory } from '../route-history.ts';
import { LinkSender } from '../sender.ts';
import { Wire, type Older } from './wire.ts';

type Dirs = readonly [west: TempDir, east: TempDir];

export const TENANT = 't';
const logger = createLogger({ level: 'silent', service: 'test', site: 'west' });
const config = loadConfig(section('', dataPlaneConfig), { value: { log: { partitions: 1 } } });

/** One record as east has it. */
export interface Arrived {
  readonly id: number;
  /** Position in west's log. */
  readonly at: number;
  /** Where it goes from east. */
  readonly further: readonly string[];
}

/** What lives as long as the process at west. */
function westProcess(store: EventStore, nextHop: (site: string) => string | undefined) {
  const metrics = new Metrics();
  const logs = new Logs(store, config.log);
  const live = metrics.use(emesherMetrics);
  return {
    metrics,
    live,
    logs,
    lost: new LostRanges({ store, logs, neighbours: ['east'], retentionMs: 0, now: Date.now }),
    followers: new Followers(store, logs, logger, 65_536),
    routes: new RouteHistory(nextHop),
    books: new LinkBooks('east', live),
    journal: new Journal(100),
  };
}

/** The link from west to east on real stores, with a wire between them that can be cut. */
export class TwoEnds {
  readonly #dirs: Dirs;
  #west: EventStore;
  readonly #east: EventStore;
  /** Of sites beyond east; what is not here cannot be reached. */
  readonly hops = new Map<string, string>([['east', 'east']]);
  readonly #wire: Wire;
  readonly #asked = new Set<string>();
  #process: ReturnType<typeof westProcess>;
  #cut: AbortController | undefined;
  #sender: LinkSender | undefined;
  /** Why the present connection ended. */
  #ending: Promise<unknown> = Promise.resolve();
  #wake: () => void = () => undefined;
  #epoch = 1;
  /** How the connections of former owners of the link ended. */
  readonly #former: { readonly cut: AbortController; readonly ended: Promise<unknown> }[] = [];
  #events = 0;
  #probes = 0;

  private constructor(dirs: Dirs, west: EventStore, east: EventStore) {
    this.#dirs = dirs;
    this.#west = west;
    this.#east = east;
    this.#wire = new Wire(east, config.log);
    this.#process = this.#start();
  }

  static async open(): Promise<TwoEnds> {
    const dirs: Dirs = [tempDir('link-west'), tempDir('link-east')];
    const stores = await Promise.all(
      dirs.map(({ path }) => openEmbeddedStore({ dir: join(path, 'store') })),
    );
    const [west, east] = stores;
    if (west === undefined || east === undefined) throw new Error('no stores');
    const ends = new TwoEnds(dirs, west, east);
    await ends.#process.logs.ensure(TENANT);
    return ends;
  }

  get older(): Older {
    return this.#wire.older;
  }

  set older(older: Older) {
    this.#wire.older = older;
  }

  /** East cannot write what west has passed by. */
  set marksFail(fail: boolean) {
    this.#wire.marksFail = fail;
  }

  /** West does not hear that east has accepted something. */
  set deaf(deaf: boolean) {
    this.#wire.deaf = deaf;
  }

  /** What the present process at west remembers of an event, oldest first. */
  steps(position: number): string[] {
    const steps = this.#process.journal.steps(TENANT, [{ partition: 0, position }]);
    return steps.map(({ step }) => step);
  }

  async close(): Promise<void> {
    await this.cut();
    await this.formerEnds(true);
    this.#process.followers.stop();
    await Promise.all([this.#west.close(), this.#east.close()]);
    for (const dir of this.#dirs) dir.remove();
  }

  /** A metric of the present process at west. */
  metric(name: string): Promise<number> {
    this.#process.books.tell();
    return this.#process.metrics.value(`eventmesh_link_${name}`, { to: 'east' });
  }

  async append(...records: readonly (readonly string[])[]): Promise<void> {
    await this.#west.append({
      log: `events.${TENANT}`,
      partition: 0,
      records: records.map((destinations) => ({ bytes: this.#record(destinations) })),
    });
  }

  /** Another emesher of west takes the link; this one does not know of it. */
  async takeOver(): Promise<void> {
    const cut = this.#cut;
    const { followers } = this.#process;
    if (cut !== undefined) {
      const ended = this.#ending.finally(() => followers.stop());
      this.#former.push({ cut, ended });
    }
    this.#epoch++;
    this.#process = this.#start();
    await this.#process.logs.ensure(TENANT);
    this.#connect();
  }

  /** What is sent over connections of former owners stays on its way until `wake`. */
  pauseFormer(): void {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.wakeFormer();
    this.#wire.pause = promise.then(() => undefined);
    this.#wake = () => resolve(undefined);
  }

  wakeFormer(): void {
    this.#wake();
  }

  /** How the connections of former owners ended. @param now ends them if they have not. */
  async formerEnds(now = false): Promise<unknown[]> {
    this.wakeFormer();
    if (now) for (const { cut } of this.#former) cut.abort();
    return Promise.all(this.#former.splice(0).map(({ ended }) => ended));
  }

  /** The link comes up. */
  async connect(): Promise<void> {
    await this.cut();
    this.#connect();
  }

  #connect(): void {
    const cut = new AbortController();
    this.#cut = cut;
    const { live, logs, followers, journal, routes, books, lost } = this.#process;
    const sender = new LinkSender(
      {
        neighbour: { site: 'east' },
        client: { link: (requests) => this.#wire.open(requests, cut.signal) },
      },
      {
        site: 'west',
        member: 'west-1',
        store: this.#west,
        logs,
        followers,
        metrics: live,
        journal,
        logger,
        now: Date.now,
        directQueueMax: 1,
        progressInterval: 1,
        routes,
        lost,
      },
      books,
      this.#epoch,
    );
    this.#sender = sender;
    this.#ending = sender.run(cut.signal).then(
      () => undefined,
      (error: unknown) => (cut.signal.aborted ? undefined : error),
    );
  }

  /** The link breaks wherever it is. */
  async cut(): Promise<void> {
    this.#cut?.abort();
    const error = await this.#ending;
    this.#ending = Promise.resolve();
    if (error !== undefined) throw MeshError.from(error);
  }

  /** West starts anew on its store. */
  async restart(): Promise<void> {
    await this.cut();
    this.#process.followers.stop();
    this.#process = this.#start();
    await this.#process.logs.ensure(TENANT);
  }

  /** West keeps a copy of its store, in place of one it may have. */
  backUp(): Promise<void> {
    return this.#whileDown((dir, copy) => {
      rmSync(copy, { recursive: true, force: true });
      cpSync(dir, copy, { recursive: true });
    });
  }

  /** West's store is what its copy was. */
  bringBack(): Promise<void> {
    return this.#whileDown((dir, copy) => {
      rmSync(dir, { recursive: true });
      cpSync(copy, dir, { recursive: true });
    });
  }

  /** Drops what west has before a position. */
  trim(before: number): Promise<void> {
    return this.#west.trim(`events.${TENANT}`, 0, before);
  }

  async #whileDown(does: (dir: string, copy: string) => void): Promise<void> {
    await this.cut();
    await eventually(() => {
      if (!this.#wire.stored) throw new Error('not stored yet');
    });
    this.#process.followers.stop();
    await this.#west.close();
    const { path } = this.#dirs[0];
    does(join(path, 'store'), join(path, 'copy'));
    this.#west = await openEmbeddedStore({ dir: join(path, 'store') });
    this.#process = this.#start();
    await this.#process.logs.ensure(TENANT);
  }

  /** Everything stored so far was looked at, and what goes to east is there. */
  async settled(): Promise<void> {
    const probe = `probe-${++this.#probes}`;
    await this.append([probe]);
    await eventually(
      () => {
        const { gatheredBytes = 1, waiting = 1 } = this.#sender ?? {};
        const done = this.#asked.has(probe) && gatheredBytes === 0 && waiting === 0;
        if (!done || !this.#wire.quiet) throw new Error('not done yet');
      },
      { intervalMs: 1 },
    );
  }

  /** East keeps all that was looked at. */
  kept(): Promise<void> {
    return eventually(
      async () => {
        if ((await this.metric('unkept')) > 0) throw new Error('not kept yet');
      },
      { intervalMs: 1 },
    );
  }

  arrived(): Promise<Arrived[]> {
    return recordsOf(this.#east);
  }

  /** What west is known to have lost. */
  lost(): Promise<LostRange[]> {
    return this.#process.lost.of(TENANT);
  }

  /** What west's log has for east now. */
  async wanted(): Promise<number[]> {
    const records = await recordsOf(this.#west);
    return records.filter(({ further }) => further.includes('east')).map(({ id }) => id);
  }

  #start(): ReturnType<typeof westProcess> {
    return westProcess(this.#west, (site) => {
      this.#asked.add(site);
      return this.hops.get(site);
    });
  }

  #record(destinations: readonly string[]): Buffer {
    const event = encodeEvent({ id: String(++this.#events), source: '/s', type: 't' });
    return encodeRecord(
      {
        tenant: TENANT,
        topic: 'a',
        principal: 'p',
        originSite: 'west',
        destinations: [...destinations],
        ingressTimeUs: this.#events,
        hops: [],
        handling: NO_HANDLING,
      },
      event,
    );
  }
}

async function recordsOf(store: EventStore): Promise<Arrived[]> {
  const log = `events.${TENANT}`;
  if ((await store.logInfo(log)) === undefined) return [];
  const from = { kind: 'position', position: 0 } as const;
  const found: Arrived[] = [];
  for await (const item of store.read({ log, partition: 0, from, stopAtEnd: true })) {
    if (item.kind !== 'batch') continue;
    for (const bytes of item.records) {
      const record = decodeRecord(bytes);
      const { ingressTimeUs: id, originPosition: at, destinations: further } = record;
      found.push({ id, at, further });
    }
  }
  return found;
}
