import { MeshError } from '@eventmesh/errors';
import {
  checkLogName,
  PARTITIONS_MAX,
  seal,
  unknownLog,
  unknownPartition,
  unseal,
  type LogInfo,
  type LogSpec,
} from '@eventmesh/store-api';
import type { Commit } from './commit.ts';
import type { Files } from './files.ts';
import { Partition } from './partition.ts';

/** What the table of logs has of each. */
interface StoredLog {
  /** Its partitions have the ids from `id * PARTITIONS_MAX` on. */
  readonly id: number;
  readonly spec: LogSpec;
}

/** A log that is on disk, and all its partitions. */
export interface Log {
  spec: LogSpec;
  readonly partitions: Partition[];
}

/**
 * The logs of a store, all of them in memory from its opening on. Whatever is asked of the store
 * finds its partition here; here alone it is known which ids on disk are whose, since an id given
 * twice would mix the records of two logs.
 */
export class Logs {
  readonly #files: Files;
  readonly #logs = new Map<string, Log>();
  /** Of all logs, also of one whose first commit is still in flight. */
  readonly #ids = new Map<string, number>();

  /** @throws MeshError DataLoss when one of them is damaged. */
  constructor(files: Files) {
    this.#files = files;
    for (const { value } of files.logs.getRange({})) this.#open(value);
  }

  /** Makes a log or brings it to a spec. @throws MeshError FailedPrecondition when it would shrink. */
  ensure(commit: Commit, spec: LogSpec): void {
    const known = this.#logs.get(spec.name);
    if (known !== undefined && known.spec.partitions > spec.partitions) {
      throw new MeshError(
        'FailedPrecondition',
        `log "${spec.name}" has ${known.spec.partitions} partitions; it may grow, never shrink`,
        { field: 'partitions', reason: 'PARTITIONS_SHRINK' },
      );
    }
    const id = this.#ids.get(spec.name) ?? this.#ids.size + 1;
    this.#ids.set(spec.name, id);
    const log: StoredLog = { id, spec: { ...spec } };
    const stored = seal(log);
    commit.put('logs', Buffer.from(spec.name), stored);
    commit.onDone(() => this.#open(stored));
  }

  find(name: string): Log | undefined {
    return this.#logs.get(checkLogName(name));
  }

  /** @throws MeshError NotFound. */
  get(name: string): Log {
    const log = this.find(name);
    if (log === undefined) throw unknownLog(name);
    return log;
  }

  /** @throws MeshError NotFound, InvalidArgument. */
  partition(name: string, index: number): Partition {
    const { partitions } = this.get(name);
    const partition = partitions[index];
    if (partition === undefined) throw unknownPartition(name, index, partitions.length);
    return partition;
  }

  all(): Iterable<Log> {
    return this.#logs.values();
  }

  *partitions(): Generator<Partition> {
    for (const { partitions } of this.#logs.values()) yield* partitions;
  }

  /** Takes in what is on disk of a log: a new one, or one that has a new spec. */
  #open(stored: Buffer): void {
    const { id, spec } = unseal<StoredLog>(stored, 'the spec of a log');
    const log = this.#logs.get(spec.name) ?? { spec, partitions: [] };
    this.#logs.set(spec.name, log);
    this.#ids.set(spec.name, id);
    const windowChanged = log.spec.duplicateWindow !== spec.duplicateWindow;
    log.spec = spec;
    for (const partition of log.partitions) {
      partition.spec = spec;
      if (windowChanged) partition.forgetWindow();
    }
    for (let index = log.partitions.length; index < spec.partitions; index++) {
      const partitionId = id * PARTITIONS_MAX + index;
      log.partitions.push(new Partition(this.#files, partitionId, index, spec));
    }
  }
}

export const infoOf = ({ spec, partitions }: Log): LogInfo => {
  return { spec, partitions: partitions.map(({ info }) => info) };
};
