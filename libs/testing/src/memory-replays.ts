import type {
  AttachOptions,
  Attachment,
  DeliverySink,
  ReplayOptions,
  ReplayPreview,
  ReplayStatus,
  ReplaysPort,
  Session,
} from '@eventmesh/adapter-api';
import { checkReplay } from '@eventmesh/delivery';
import { MeshError, invalid } from '@eventmesh/errors';
import { EventView, encodeAttribute, topicMatches } from '@eventmesh/event';
import { compileFilters } from '@eventmesh/filter';
import { MemoryConsumer } from './memory-consumer.ts';
import type { MemoryPart } from './memory-log.ts';
import { MemorySubscription, type MemoryRecord } from './memory-subscription.ts';

/** What the lanes need of their mesh. */
export interface MemoryPast {
  readonly site: string;
  find(session: Session, name: string): MemorySubscription;
  /** Stored records of the tenant from a start to an end, and what is gone of them. */
  part(tenant: string, options: ReplayOptions): MemoryPart;
}

interface Lane {
  readonly tenant: string;
  readonly own: MemorySubscription;
  readonly consumer: MemoryConsumer;
  readonly options: ReplayOptions;
  readonly startedMs: number;
}

/** The replay lanes of the memory mesh. They have no pace, and nothing in its log ever expires. */
export class MemoryReplays implements ReplaysPort {
  readonly #past: MemoryPast;
  readonly #lanes = new Map<string, Lane>();
  #ids = 0;

  constructor(past: MemoryPast) {
    this.#past = past;
  }

  open(session: Session, { replay, ...more }: AttachOptions, sink: DeliverySink): Attachment {
    if (typeof more.subscription !== 'string' || replay === undefined) {
      throw invalid('replay', 'needs a subscription that is there, given by its name');
    }
    const options = checkReplay(replay);
    const { spec } = this.#past.find(session, more.subscription);
    const { tenant } = session.principal;
    const id = `replay-${++this.#ids}`;
    const own = new MemorySubscription(
      { all: { ...spec, paused: false } },
      this.#past.site,
      () => 0,
    );
    const consumer = new MemoryConsumer(own, {
      consumer: more.consumer ?? id,
      sink,
      convergedSites: [],
      gone: () => this.#lanes.delete(id),
    });
    own.consumers.push(consumer);
    this.#lanes.set(id, { tenant, own, consumer, options, startedMs: Date.now() });
    const { records, gaps } = this.#past.part(tenant, options);
    own.gaps.push(...gaps);
    for (const record of records) own.offer(marked(record, id));
    own.onRound = () => {
      if (own.gaps.length === 0 && own.status().held === 0) consumer.end(undefined);
    };
    consumer.credit(more.creditEvents ?? 0, more.creditBytes ?? 0);
    return {
      subscription: spec,
      consumer: consumer.consumer,
      replayId: id,
      convergedSites: [],
      unreachableSites: [],
      credit: (events, bytes) => consumer.credit(events, bytes),
      drain: () => consumer.drain(),
      settle: (ids, outcome, cumulative) => consumer.settle(ids, outcome, cumulative),
      detach: () => consumer.detach(),
    };
  }

  async preview(
    session: Session,
    name: string,
    replay: ReplayOptions,
    signal?: AbortSignal,
  ): Promise<ReplayPreview> {
    const { spec } = this.#past.find(session, name);
    const { records, gaps } = this.#past.part(session.principal.tenant, checkReplay(replay));
    await Promise.resolve();
    if (signal?.aborted === true) throw new MeshError('Cancelled', 'the preview was given up');
    const matches = compileFilters(spec.filters);
    const found = records.filter(
      ({ topic, view }) =>
        spec.topicFilters.some((filter) => topicMatches(filter, topic)) && matches(view),
    );
    const bytes = found.reduce((sum, { view }) => sum + view.bytes.length, 0);
    return { events: found.length, bytes, considered: records.length, expired: 0, gaps };
  }

  async list(session: Session, subscription?: string): Promise<readonly ReplayStatus[]> {
    await Promise.resolve();
    return [...this.#lanes]
      .filter(
        ([, { tenant, own }]) =>
          tenant === session.principal.tenant && own.spec.name === (subscription ?? own.spec.name),
      )
      .map(([id, { own, consumer, options, startedMs }]) => {
        const { delivered, filtered, deadLettered: dropped } = own.status();
        const counts = { delivered, filtered, dropped, expired: 0, lag: 0 };
        const about = { id, subscription: own.spec.name, consumer: consumer.consumer };
        return { ...about, ...counts, rateMax: options.rateMax, startedMs };
      });
  }

  async stop(session: Session, id: string): Promise<void> {
    await Promise.resolve();
    const lane = this.#lanes.get(id);
    if (lane?.tenant !== session.principal.tenant) {
      throw new MeshError('NotFound', `there is no replay "${id}"`, { field: 'id' });
    }
    lane.consumer.end(
      new MeshError('Cancelled', 'the replay was stopped', { reason: 'REPLAY_STOPPED' }),
    );
  }
}

function marked(record: MemoryRecord, id: string): MemoryRecord {
  const mark = encodeAttribute('meshreplay', { kind: 'string', value: id });
  return { ...record, view: new EventView(Buffer.concat([record.view.bytes, mark])) };
}
