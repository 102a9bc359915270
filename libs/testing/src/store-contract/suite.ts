import { randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import { MeshError, type MeshCode } from '@eventmesh/errors';
import { NO_REVISIONS, encodeEvent, encodeRecord } from '@eventmesh/event';
import type {
  AppendReceipt,
  AppendRecord,
  EventStore,
  LogSpec,
  ReadItem,
  ReadOptions,
} from '@eventmesh/store-api';

/** A store and how to open it anew on the same data. */
export interface StoreUnderTest {
  readonly store: EventStore;
  /** Closes the store, opens it again on the same data and answers the new one. */
  reopen(): Promise<EventStore>;
  /** Closes everything and removes the data. */
  dispose(): Promise<void>;
}

export class Suite {
  readonly #make: () => Promise<StoreUnderTest>;
  readonly #run = randomBytes(4).toString('hex');
  #under: StoreUnderTest | undefined;
  #store: EventStore | undefined;
  #logs = 0;

  constructor(make: () => Promise<StoreUnderTest>) {
    this.#make = make;
  }

  async start(): Promise<void> {
    this.#under = await this.#make();
    this.#store = this.#under.store;
  }

  async stop(): Promise<void> {
    await this.#under?.dispose();
  }

  get store(): EventStore {
    if (this.#store === undefined) throw new Error('the store did not open');
    return this.#store;
  }

  async reopen(): Promise<void> {
    this.#store = await this.#under?.reopen();
  }

  /** A new log with one partition, unless the spec says otherwise. */
  async log(spec: Partial<LogSpec> = {}): Promise<string> {
    const name = `contract.${this.#run}-${++this.#logs}`;
    await this.store.ensureLog({
      name,
      partitions: 1,
      retentionMs: 0,
      retentionBytes: 0,
      duplicateWindow: 1000,
      ...spec,
    });
    return name;
  }

  append(log: string, records: AppendRecord[], partition = 0): Promise<AppendReceipt> {
    return this.store.append({ log, partition, records });
  }

  async read(options: Omit<ReadOptions, 'partition'>): Promise<ReadResult> {
    return collect(this.store.read({ partition: 0, ...options }));
  }

  async readAll(log: string): Promise<ReadResult> {
    return this.read({ log, from: { kind: 'position', position: 1 }, stopAtEnd: true });
  }
}

export interface ReadResult {
  readonly opened: number;
  readonly positions: number[];
  readonly records: Buffer[];
  readonly gaps: [number, number][];
  readonly upTo: number;
}

export async function collect(
  items: AsyncIterable<ReadItem>,
  enough = Infinity,
): Promise<ReadResult> {
  const result = { opened: 0, positions: [], records: [], gaps: [], upTo: 0 } as {
    -readonly [K in keyof ReadResult]: ReadResult[K];
  };
  for await (const item of items) {
    if (item.kind === 'opened') result.opened = item.position;
    else if (item.kind === 'gap') result.gaps.push([item.from, item.to]);
    else {
      result.positions.push(...item.positions);
      result.records.push(...item.records.map((record) => Buffer.from(record)));
      result.upTo = item.upTo;
    }
    if (result.positions.length >= enough) break;
  }
  return result;
}

/** An encoded record whose event carries `text` (and `size` bytes of data). */
export function record(text: string, options: { topic?: string; size?: number } = {}): Buffer {
  const data = Buffer.alloc(options.size ?? 16, `${text};`);
  const event = encodeEvent({
    id: text,
    source: '/contract',
    type: 'contract.event',
    attributes: [['subject', { kind: 'string', value: `ü ${text}` }]],
    data: { kind: 'binary', bytes: data },
  });
  return encodeRecord(
    {
      tenant: 'default',
      topic: options.topic ?? 'contract/events',
      principal: 'tester',
      originSite: 'west',
      destinations: ['east'],
      ingressTimeUs: 1_700_000_000_000_000,
      hops: [{ site: 'west', timeUs: 1_700_000_000_000_000, ...NO_REVISIONS }],
    },
    event,
  );
}

export const plain = (count: number, prefix = 'r'): AppendRecord[] =>
  Array.from({ length: count }, (_, i) => ({ bytes: record(`${prefix}${i}`) }));

export const keyed = (keys: string[]): AppendRecord[] =>
  keys.map((dedupKey) => ({ bytes: record(dedupKey), dedupKey }));

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

export async function refusal(promise: Promise<unknown>): Promise<MeshError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(MeshError);
    return error as MeshError;
  }
  throw new Error('it was expected to be refused');
}

export async function expectCode(promise: Promise<unknown>, code: MeshCode): Promise<void> {
  expect((await refusal(promise)).code).toBe(code);
}

/** Asks until the answer is yes; the test's own timeout ends it otherwise. */
export async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 20));
}
