import type { Counters } from '@eventmesh/delivery';
import type { PartitionInfo } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Runner } from '../deliver/runner.ts';
import type { Logs } from '../logs.ts';
import type { Journal } from './journal.ts';

/** Of a durable subscription that runs. */
export interface RunningBooks {
  readonly name: string;
  /** Of the ownership that it runs under; of two answers the higher one is right. */
  readonly epoch: number;
  readonly counters: Omit<Counters, 'redelivered' | 'filterErrors'>;
  readonly held: number;
  /** By partition: where its books begin, and how many positions from there were looked at. */
  readonly partitions: readonly {
    readonly partition: number;
    readonly start: number | undefined;
    readonly looked: number;
  }[];
}

/** The books of a tenant at one emesher. */
export interface EmesherBooks {
  /** Receipts for records of the tenant's log since the emesher came to know it. */
  readonly receipts: number;
  /** Last positions of the log at that time, all partitions added up. */
  readonly base: number;
  readonly running: readonly RunningBooks[];
  /** Whether more run than fit an answer. */
  readonly more: boolean;
  /** Whether another emesher of the site has left since; its receipts are known to nobody. */
  readonly othersLeft: boolean;
}

export interface LocalBooksDeps {
  readonly member: string;
  readonly directory: Pick<Directory, 'listen'>;
  readonly journal: Pick<Journal, 'receipts'>;
  readonly runners: { readonly all: Iterable<Runner> };
  readonly logs: Pick<Logs, 'ensure'>;
}

/** The books at this very emesher. */
export class LocalBooks {
  readonly #deps: LocalBooksDeps;
  #othersLeft = false;

  constructor(deps: LocalBooksDeps) {
    this.#deps = deps;
    deps.directory.listen({
      memberLeft: (id) => {
        if (id !== deps.member) this.#othersLeft = true;
      },
    });
  }

  async read(tenant: string): Promise<EmesherBooks> {
    const { journal, runners, logs } = this.#deps;
    // As the log was when this emesher came to know it.
    const { partitions } = await logs.ensure(tenant);
    const running = [...runners.all]
      .filter(({ subscription: { tenant: of, ephemeral } }) => of === tenant && !ephemeral)
      .map((runner) => booksOf(runner, partitions));
    return {
      receipts: journal.receipts(tenant),
      base: lastOf(partitions),
      running,
      more: false,
      othersLeft: this.#othersLeft,
    };
  }
}

const booksOf = (
  { subscription: { name }, epoch, engine }: Runner,
  partitions: readonly PartitionInfo[],
): RunningBooks => ({
  name,
  epoch,
  counters: engine.counters,
  held: engine.held,
  partitions: partitions.map(({ partition }) => {
    const { start, next } = engine.partition(partition);
    return { partition, start, looked: next - (start ?? next) };
  }),
});

export const lastOf = (partitions: readonly Pick<PartitionInfo, 'last'>[]): number =>
  partitions.reduce((sum, { last }) => sum + last, 0);
