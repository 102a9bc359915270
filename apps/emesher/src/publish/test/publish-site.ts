import type { PublishItem, PublishOptions, Receipt } from '@eventmesh/adapter-api';
import type { Authorizer } from '@eventmesh/clients';
import { loadConfig, section } from '@eventmesh/config';
import { MeshError } from '@eventmesh/errors';
import { EventView, decodeRecord, type RecordView } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { Metrics, createLogger, createTracing, type Tracing } from '@eventmesh/telemetry';
import { tempDir, type TempDir } from '@eventmesh/testing';
import { dataPlaneConfig } from '../../config.ts';
import type { Directory } from '../../control/directory.ts';
import { DirectLanes } from '../../deliver/direct-lanes.ts';
import { Journal } from '../../inspect/journal.ts';
import { Ledger } from '../../inspect/ledger.ts';
import { Refusals } from '../../inspect/refusals.ts';
import { ServedBy } from '../../inspect/served-by.ts';
import { Logs } from '../../logs.ts';
import { emesherMetrics } from '../../metrics.ts';
import { Timers } from '../../schedule/timers.ts';
import type { CallerSession } from '../../session.ts';
import { DirectPublisher } from '../direct.ts';
import { Publisher } from '../publisher.ts';
import { Gate, NOW, SITE, TENANT, caller, type Policy } from './gate.ts';

interface SiteOptions {
  readonly policy?: Policy;
  readonly partitions?: number;
  /** Most timers that wait. */
  readonly pendingMax?: number;
  /** Where spans go, all of them; absent: nothing is traced. */
  readonly otlpUrl?: string;
}

/** A publisher with all that stands behind it, on a store of its own. */
export class PublishSite {
  readonly gate: Gate;
  readonly store: EventStore;
  readonly metrics: Metrics;
  readonly journal = new Journal(100);
  readonly refusals = new Refusals(100, () => 0);
  readonly ledger: Ledger;
  readonly logs: Logs;
  readonly timers: Timers;
  readonly publisher: Publisher;
  /** Ids of direct events that were handed to links and neighbours. */
  readonly forwarded: string[] = [];
  readonly session = caller();
  readonly #dir: TempDir;
  readonly #tracing: Tracing;

  static async open(options: SiteOptions = {}): Promise<PublishSite> {
    const dir = tempDir('publisher');
    const store = await openEmbeddedStore({ dir: dir.path, now: () => NOW });
    const metrics = new Metrics();
    const { otlpUrl } = options;
    const tracing = await createTracing({ service: 'test', sampleRatio: 1, otlpUrl, metrics });
    const site = new PublishSite(dir, store, tracing, metrics, options);
    await site.gate.policies.ready;
    return site;
  }

  private constructor(
    dir: TempDir,
    store: EventStore,
    tracing: Tracing,
    metrics: Metrics,
    options: SiteOptions,
  ) {
    const { policy = {}, partitions = 2, pendingMax = 10 } = options;
    this.#dir = dir;
    this.store = store;
    this.gate = new Gate(policy);
    const { policies } = this.gate;
    const value = { log: { partitions } };
    this.logs = new Logs(store, loadConfig(section('', dataPlaneConfig), { value }).log);
    this.metrics = metrics;
    this.#tracing = tracing;
    const live = metrics.use(emesherMetrics);
    this.ledger = new Ledger({
      ...{ metrics: live, policies, refusals: this.refusals, served: new ServedBy() },
      now: () => NOW,
    });
    this.timers = this.#standBy(pendingMax);
    const { ledger } = this;
    const inboxes = { deliver: () => false };
    const lanes = new DirectLanes({ ledger, queueMax: 10, now: () => NOW, inboxes });
    const forward = (_: Buffer, { event }: RecordView) => {
      this.forwarded.push(new EventView(event).id);
      return false;
    };
    this.publisher = new Publisher({
      ...this.gate.deps((tenant, topic) => ledger.topic(tenant, topic)),
      ...{ site: SITE, store, logs: this.logs, ledger, journal: this.journal, tracing },
      timers: () => this.timers,
      direct: new DirectPublisher({ site: SITE, ledger, lanes, forward }),
    });
  }

  publish(
    items: readonly PublishItem[],
    options: PublishOptions = {},
    session: CallerSession = this.session,
  ): Promise<(Receipt | MeshError)[]> {
    return this.publisher.publish(session, items, options);
  }

  /** What lies in a partition of the tenant's events, or in its log of timers, in order. */
  async stored(partition: number, log = this.logs.name(TENANT)): Promise<RecordView[]> {
    const found: RecordView[] = [];
    const from = { kind: 'position', position: 1 } as const;
    if ((await this.store.logInfo(log)) === undefined) return found;
    for await (const read of this.store.read({ log, partition, from, stopAtEnd: true })) {
      if (read.kind === 'batch') found.push(...read.records.map((bytes) => decodeRecord(bytes)));
    }
    return found;
  }

  /** Of the counters of published events. */
  counted(name: string, labels: Record<string, string> = {}): Promise<number> {
    return this.metrics.value(`eventmesh_events_${name}_total`, { tenant: TENANT, ...labels });
  }

  async close(): Promise<void> {
    await this.timers.stop();
    await this.#tracing.close();
    await this.gate.close();
    await this.store.close();
    this.#dir.remove();
  }

  /** Timers as they are where another emesher of the site fires them. */
  #standBy(pendingMax: number): Timers {
    const elsewhere = new MeshError('FailedPrecondition', 'm2 has it', {
      reason: 'OWNED_ELSEWHERE',
    });
    const directory: Partial<Directory> = {
      acquire: () => Promise.reject(elsewhere),
      release: () => Promise.resolve(),
    };
    return new Timers({
      ...{ site: SITE, store: this.store, logs: this.logs, journal: this.journal },
      ...{ ledger: this.ledger, metrics: this.metrics.use(emesherMetrics) },
      policies: this.gate.policies,
      directory: directory as Directory,
      authorizer: {} as Authorizer,
      deadLetters: { bury: () => Promise.resolve(), full: () => false },
      logger: createLogger({ level: 'silent', service: 'test', site: SITE }),
      now: () => NOW,
      publishAs: () => Promise.resolve(),
      ...{ lateTolerance: 0, pendingMax, missedMax: 0, duplicateWindow: 1000 },
    });
  }
}
