import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import {
  LinkGenerationSchema,
  type LinkGeneration,
  type Passed,
  type ResumeQuery,
} from '@eventmesh/proto-gen/link';
import type { CursorId, EventStore } from '@eventmesh/store-api';
import type { Logger } from '@eventmesh/telemetry';
import type { Logs } from '../logs.ts';
import { linkFenced } from './link-owners.ts';
import { commitOf, keptMark, type Mark } from './marks.ts';
import type { SeenBook } from './seen.ts';

export interface ChainsDeps {
  readonly store: EventStore;
  readonly logs: Logs;
  readonly logger: Logger;
  readonly seen: SeenBook;
}

/** Where a lane's chain stands. */
export interface Chain {
  /** How often the neighbour's log was found to be another one than before. */
  readonly generation: number;
  /**
   * Where the mark of the chain is kept; its name is also that by which the store knows the chain. A
   * position that is used anew belongs to another one.
   */
  readonly id: CursorId;
  /** The last position framed. */
  readonly framed: number;
  /** The last one in the store; 0 when this generation has none yet. */
  readonly stored: number;
  /** What is kept of what the neighbour has passed by. */
  readonly passed: Passed | undefined;
  /** Of the ownership of the link, under which its mark is written. */
  readonly epoch: number;
}

/** Who sends: the site, and the epoch of its emesher's ownership of the link; 0: not known. */
export interface LinkSource {
  readonly site: string;
  readonly epoch: number;
}

/** The chains of what comes from one neighbour, as far as they were asked for. */
export class Chains {
  readonly #deps: ChainsDeps;
  readonly #from: LinkSource;
  readonly #chains = new Map<string, Chain>();

  constructor(deps: ChainsDeps, from: LinkSource) {
    this.#deps = deps;
    this.#from = from;
  }

  async of(tenant: string, partition: number): Promise<Chain> {
    return this.#chains.get(keyOf(tenant, partition)) ?? this.#load(tenant, partition);
  }

  set(tenant: string, partition: number, chain: Chain): void {
    this.#chains.set(keyOf(tenant, partition), chain);
  }

  /**
   * As the store has it now. A greater generation begins behind `base`, durably before it is
   * answered, so that nothing of it is taken for what came before.
   */
  async resume({ tenant, partition, generation, base }: ResumeQuery): Promise<Chain> {
    const chain = await this.#load(tenant, partition);
    if (generation <= chain.generation) return chain;
    const { store, logs, logger, seen } = this.#deps;
    const opened = create(LinkGenerationSchema, { generation, base });
    const local = chain.id.partition;
    const id = this.#generationId(tenant, partition, local);
    const state = toBinary(LinkGenerationSchema, opened);
    const cursor = { floor: 1, settled: [], epoch: generation, state };
    const refused = await store.commitCursors([{ id, cursor }]);
    if (refused.length > 0) {
      throw new MeshError('Aborted', `a later generation than ${generation} has begun`);
    }
    const facts = { from: this.#from.site, tenant, partition, base: Number(base), generation };
    logger.warn(
      { ...facts, last: chain.framed },
      'the log of a neighbour is another one than before; what is new in it is taken',
    );
    // What both logs have; the next mark keeps it.
    const common = seen.of(chain.id).filter(({ position }) => position <= Number(base));
    const next = await this.#chainOf(logs.name(tenant), partition, local, opened);
    for (const record of common) seen.stored(next.id, record);
    this.set(tenant, partition, next);
    return next;
  }

  async #load(tenant: string, partition: number): Promise<Chain> {
    const { store, logs } = this.#deps;
    const { partitions } = await logs.ensure(tenant);
    const local = partition % partitions.length;
    const id = this.#generationId(tenant, partition, local);
    const cursor = await store.loadCursor(id);
    const opened =
      cursor === undefined
        ? create(LinkGenerationSchema)
        : fromBinary(LinkGenerationSchema, cursor.state);
    const chain = await this.#chainOf(logs.name(tenant), partition, local, opened);
    this.set(tenant, partition, chain);
    return chain;
  }

  async #chainOf(
    log: string,
    partition: number,
    local: number,
    { generation, base }: LinkGeneration,
  ): Promise<Chain> {
    const lane = laneName(this.#from.site, partition);
    const producer = generation === 0 ? lane : `${lane}/${generation}`;
    const id = { log, partition: local, subscription: producer };
    const stored = await this.#deps.store.producerSequence(log, local, producer);
    const kept = await keptMark(this.#deps, id, stored);
    const { passed, seen } = kept;
    const epoch = await this.#claim({ id, last: stored, passed, seen }, kept.epoch);
    this.#deps.seen.kept(id, seen);
    return { id, generation, framed: Math.max(stored, Number(base)), stored, passed, epoch };
  }

  /**
   * Writes the mark as it is under the epoch of a new owner: from here on the store refuses that of a
   * former one, be it connected to another emesher of this site. Answers the epoch to go on with.
   * @throws MeshError Aborted (LINK_FENCED)
   */
  async #claim(kept: Omit<Mark, 'epoch'>, by: number | undefined): Promise<number> {
    const { site, epoch } = this.#from;
    // What cannot be read is not written anew for this alone; the next mark is.
    if (by === undefined) return epoch;
    if (epoch === 0 || epoch === by) return by;
    if (epoch < by) throw linkFenced(site, by);
    const { store, logger } = this.#deps;
    try {
      const refused = await store.commitCursors([commitOf({ ...kept, epoch })]);
      if (refused.length === 0) return epoch;
    } catch (error) {
      // The next mark does it; until then the store's own chain keeps two owners apart.
      logger.warn({ err: error, from: site, epoch }, 'the owner of a link could not be kept');
      return epoch;
    }
    throw linkFenced(site, (await store.loadCursor(kept.id))?.epoch ?? epoch);
  }

  #generationId(tenant: string, partition: number, local: number): CursorId {
    const log = this.#deps.logs.name(tenant);
    const subscription = `${laneName(this.#from.site, partition)}/generation`;
    return { log, partition: local, subscription };
  }
}

const keyOf = (tenant: string, partition: number): string => `${tenant}/${partition}`;
const laneName = (site: string, partition: number): string => `link/${site}/${partition}`;
