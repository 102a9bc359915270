import { MeshError } from '@eventmesh/errors';
import {
  checkLogName,
  unknownLog,
  unknownPartition,
  type DurabilityClass,
  type LogInfo,
  type LogSpec,
} from '@eventmesh/store-api';
import type { InFlightLimits } from './append-queue.ts';
import type { Connection } from './connection.ts';
import type { Marks, Place } from './marks.ts';
import type { Pending } from './pending.ts';
import { PartitionWriter } from './partition-writer.ts';
import type { StateBucket } from './state.ts';
import { baseSubject, ensureStream, partitionInfo, streamConfig, streamName } from './streams.ts';

/** A log and the writers of its partitions. */
export interface Log {
  spec: LogSpec;
  readonly writers: PartitionWriter[];
}

/** What the logs of a store have in common. */
export interface LogParts {
  readonly connection: Connection;
  readonly state: StateBucket;
  readonly marks: Marks;
  readonly pending: Pending;
  readonly durability: () => DurabilityClass;
  readonly settings: InFlightLimits & { readonly prefix: string; readonly replicas: number };
}

/** The logs of a store, each found by its stored spec when it is first asked for. */
export class Logs {
  /** Those that were found. */
  readonly opened: ReadonlyMap<string, Log>;
  readonly #parts: LogParts;
  readonly #opened = new Map<string, Log>();
  /** Logs that were asked for since open, and those being looked up. */
  readonly #asked = new Map<string, Promise<Log>>();

  constructor(parts: LogParts) {
    this.#parts = parts;
    this.opened = this.#opened;
  }

  /** @throws MeshError NotFound. */
  async get(name: string): Promise<Log> {
    checkLogName(name);
    return this.#asked.get(name) ?? this.#open(name);
  }

  /** Of all logs that were asked for, once those being looked up are found. */
  async streams(): Promise<string[]> {
    const logs = await Promise.all(this.#asked.values());
    return logs.flatMap(({ spec }) =>
      Array.from({ length: spec.partitions }, (_, index) => this.place(spec.name, index).stream),
    );
  }

  /** Makes a log or brings it to a spec. @throws MeshError FailedPrecondition, DataLoss. */
  async ensure(spec: LogSpec): Promise<Log> {
    const { connection, state, marks, settings } = this.#parts;
    await state.changeLogSpec(spec.name, (stored) => {
      if (stored !== undefined && stored.partitions > spec.partitions) {
        throw new MeshError(
          'FailedPrecondition',
          `log "${spec.name}" has ${stored.partitions} partitions; it may grow, never shrink`,
          { field: 'partitions', reason: 'PARTITIONS_SHRINK' },
        );
      }
      return { ...spec };
    });
    for (let index = 0; index < spec.partitions; index++) {
      // A stream that is gone must not be made anew, as if nothing had been in it.
      await marks.check(this.place(spec.name, index));
      const config = streamConfig(settings.prefix, spec, index, settings.replicas);
      await ensureStream(connection, config);
    }
    const log = await this.#open(spec.name, { ...spec });
    await this.#renew(log, spec);
    return log;
  }

  async info({ spec }: Log): Promise<LogInfo> {
    const { connection } = this.#parts;
    const partitions = await Promise.all(
      Array.from({ length: spec.partitions }, (_, index) =>
        partitionInfo(connection, this.place(spec.name, index).stream, index),
      ),
    );
    return { spec, partitions };
  }

  place(log: string, partition: number): Place {
    return { stream: streamName(this.#parts.settings.prefix, log, partition), log, partition };
  }

  base(log: string, partition: number): string {
    return baseSubject(this.#parts.settings.prefix, log, partition);
  }

  async #renew(log: Log, spec: LogSpec): Promise<void> {
    const windowChanged = log.spec.duplicateWindow !== spec.duplicateWindow;
    log.spec = { ...spec };
    for (const writer of log.writers) {
      writer.spec = log.spec;
      if (windowChanged) await writer.reload();
    }
    while (log.writers.length < spec.partitions)
      log.writers.push(this.#writer(log, log.writers.length));
  }

  /** Finds a log by its stored spec, or by the one just stored. */
  #open(name: string, given?: LogSpec): Promise<Log> {
    const known = this.#asked.get(name);
    if (known !== undefined) return known;
    const opening = (async () => {
      const spec = given ?? (await this.#parts.state.logSpec(name));
      if (spec === undefined) throw unknownLog(name);
      const log: Log = { spec, writers: [] };
      for (let index = 0; index < spec.partitions; index++)
        log.writers.push(this.#writer(log, index));
      this.#opened.set(name, log);
      return log;
    })();
    this.#asked.set(name, opening);
    opening.catch(() => this.#asked.delete(name));
    return opening;
  }

  #writer({ spec }: Log, partition: number): PartitionWriter {
    const { settings, ...parts } = this.#parts;
    return new PartitionWriter({
      ...parts,
      place: this.place(spec.name, partition),
      base: this.base(spec.name, partition),
      spec,
      limits: settings,
    });
  }
}

/** @throws MeshError InvalidArgument. */
export function writerOf(log: Log, partition: number): PartitionWriter {
  const writer = log.writers[partition];
  if (writer === undefined) throw unknownPartition(log.spec.name, partition, log.writers.length);
  return writer;
}
