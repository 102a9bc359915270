import type { MessageInitShape } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import type { ResumePoint, ResumeQuerySchema } from '@eventmesh/proto-gen/link';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Logs } from '../logs.ts';
import type { EmesherMetrics } from '../metrics.ts';
import type { LostRanges } from './lost-ranges.ts';
import { lastAgreed } from './same-log.ts';

type Query = Exclude<MessageInitShape<typeof ResumeQuerySchema>, { $typeName: string }>;

interface RestoredLogDeps {
  readonly store: EventStore;
  readonly logs: Logs;
  readonly logger: Logger;
  readonly metrics: EmesherMetrics;
  readonly lost: Pick<LostRanges, 'found'>;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/**
 * What one link does about logs that were brought back from an older copy and then written to:
 * positions that the neighbour has taken are those of other records now. The link begins a new
 * generation of the partition behind the last record that both sides have.
 */
export class RestoredLog {
  readonly #to: string;
  readonly #deps: RestoredLogDeps;
  /** Generations asked for over this connection, by lane. */
  readonly #asked = new Map<string, number>();

  constructor(to: string, deps: RestoredLogDeps) {
    this.#to = to;
    this.#deps = deps;
  }

  /**
   * The generation to begin, or undefined when none is needed, or one was asked for already.
   * @throws MeshError when the store cannot be asked.
   */
  async begins(point: ResumePoint, signal: AbortSignal): Promise<Query | undefined> {
    const { tenant, partition } = point;
    const key = `${tenant}/${partition}`;
    if (this.#asked.has(key)) return undefined;
    const base = await this.#lastAgreed(point, signal);
    if (base === undefined || signal.aborted) return undefined;
    const generation = point.generation + 1;
    await this.#keep(point, base);
    if (signal.aborted) return undefined;
    this.#asked.set(key, generation);
    const { logger, metrics } = this.#deps;
    metrics.linkRestored.inc({ to: this.#to });
    logger.error(
      { to: this.#to, tenant, partition, last: Number(point.last), base, generation },
      `the log of tenant "${tenant}", partition ${partition}, is not the one that site "${this.#to}" ` +
        `has taken events from up to position ${point.last}; it was restored from a copy. What it ` +
        `has behind position ${base} is sent. What had positions ${base + 1} to ${point.last} before, but for ` +
        `what the copy has of it, is lost here and stays at "${this.#to}"`,
    );
    return { tenant, partition, generation, base: BigInt(base) };
  }

  /** False when the neighbour has not begun the generation that was asked for. */
  mayStart({ tenant, partition, generation }: ResumePoint): boolean {
    const asked = this.#asked.get(`${tenant}/${partition}`);
    if (asked === undefined || generation >= asked) return true;
    this.#deps.logger.error(
      { to: this.#to, tenant, partition },
      `site "${this.#to}" is of a version that would take new events for those it has; they wait ` +
        'here, within the retention of the log, until it is upgraded',
    );
    return false;
  }

  /** Durable before the new generation is: nobody would find it any more then. */
  async #keep({ tenant, partition, last }: ResumePoint, base: number): Promise<void> {
    const { store, logs, lost, now } = this.#deps;
    const info = await store.logInfo(logs.name(tenant));
    const end = info?.partitions[partition]?.last ?? 0;
    const range = { from: base + 1, to: Number(last), end, foundMs: now() };
    await lost.found(tenant, { site: this.#to, partition, ...range });
  }

  /** A log that is damaged there is taken for the same one: the link goes on with what can be read. */
  async #lastAgreed(point: ResumePoint, signal: AbortSignal): Promise<number | undefined> {
    const { store, logs, logger } = this.#deps;
    try {
      return await lastAgreed(store, logs.name(point.tenant), point, signal);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.code !== 'DataLoss') throw error;
      const { tenant, partition } = point;
      logger.error({ err: error, tenant, partition }, 'whether a log was restored cannot be seen');
      return undefined;
    }
  }
}
