import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { MeshError, invalid, unavailable } from '@eventmesh/errors';
import type { Kv } from '@eventmesh/kv-api';
import { AuditEntrySchema, type AuditEntry } from '@eventmesh/proto-gen/governance';
import type { EventStore, ReadFrom } from '@eventmesh/store-api';
import {
  CHAIN_START,
  chainHash,
  chained,
  contentHash,
  decodeRecord,
  encodeRecord,
} from './audit-chain.ts';

/** The store, or how to open it: governance also starts, and serves policy, while it is away. */
export type StoreSource = EventStore | (() => Promise<EventStore>);

export interface AuditLogOptions {
  /** Entries that may wait for their append. */
  readonly waitingMax: number;
  /** Told after each batch: how many entries were stored, and the last sequence. */
  readonly onAppended: (entries: number, last: number) => void;
  readonly onError: (error: MeshError) => void;
}

export interface Verification {
  readonly intact: boolean;
  /** First entry whose hash does not hold; 0 when intact. */
  readonly brokenSequence: number;
  readonly entries: number;
}

export const AUDIT_LOG = 'audit';
const PRODUCER = 'governance-audit';
/** Entries of one append. */
const BATCH_MAX = 1000;
/** Entries in which a batch that is sent again is recognised. */
const RECOGNISED_MAX = 20_000;
const TEXT_LENGTH_MAX = 4096;
const TRIES_MAX = 20;
const HEAD_KEY = 'head';
/** Least time between two writes of the head, in ms. */
const HEAD_INTERVAL_MS = 1000;

interface Waiting {
  readonly entries: readonly AuditEntry[];
  readonly resolve: () => void;
  readonly reject: (error: MeshError) => void;
}

/**
 * The append-only, hash-chained audit: one record per entry in a log of the store, numbered from 1
 * without gaps, so that a sequence is a position. Replicas may write at the same time: the store
 * refuses the one whose chain is behind, which then reads on and tries again. The end of the chain
 * is also noted in the control state, so that cutting off its tail shows.
 */
export class AuditLog {
  readonly #source: StoreSource;
  readonly #kv: Kv;
  readonly #options: AuditLogOptions;
  readonly #waiting: Waiting[] = [];
  readonly #recognised = new Set<string>();
  #store: EventStore | undefined;
  #last: AuditEntry | undefined;
  #loaded = false;
  #writing: Promise<void> | undefined;
  #closed = false;
  #headWrittenMs = 0;
  #headPending = false;

  /** @param kv the audit's own part of the control state. */
  constructor(source: StoreSource, kv: Kv, options: AuditLogOptions) {
    this.#source = source;
    this.#kv = kv;
    this.#options = options;
  }

  /** Entries that wait for their append. */
  get waiting(): number {
    return this.#waiting.reduce((sum, one) => sum + one.entries.length, 0);
  }

  /** Finds the end of the chain; without an error when the store is away, for later. */
  async start(): Promise<void> {
    try {
      await this.#load();
    } catch (error) {
      this.#options.onError(MeshError.from(error));
    }
  }

  /** Waits for what is being written and notes the head. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    if (this.#headPending) await this.#noteHead();
    if (typeof this.#source === 'function') await this.#store?.close();
  }

  /**
   * Appends entries, in order and together with what else waits; resolves when they are stored as
   * durably as the store does. Entries that are there already (sent again) are not added twice.
   *
   * @throws MeshError InvalidArgument, ResourceExhausted, Unavailable (send them again).
   */
  async append(entries: readonly MessageInitShape<typeof AuditEntrySchema>[]): Promise<void> {
    if (this.#closed) throw unavailable('the audit is closing');
    const checked = entries.map(checkEntry);
    const { waitingMax } = this.#options;
    if (checked.length > BATCH_MAX || this.waiting + checked.length > waitingMax) {
      const limit = checked.length > BATCH_MAX ? BATCH_MAX : waitingMax;
      throw new MeshError(
        'ResourceExhausted',
        'too many audit entries at once; send fewer, later',
        {
          limit: `${limit} entries`,
          retryAfterMs: 1000,
        },
      );
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ entries: checked, resolve, reject });
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
    });
  }

  /** Entries of a tenant after a sequence, oldest first. */
  async list(tenant: string, after: number, limit: number, signal: AbortSignal) {
    await this.#load();
    const found: AuditEntry[] = [];
    for await (const { entry } of this.#read({ kind: 'position', position: after + 1 }, signal)) {
      if (entry?.tenant !== tenant) continue;
      found.push(entry);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Recomputes every hash from the first entry on. */
  async verify(signal: AbortSignal): Promise<Verification> {
    await this.#load();
    const head = await this.#readHead();
    let entries = 0;
    let previous: AuditEntry | undefined;
    let headSeen = head.sequence === 0;
    for await (const { position, entry } of this.#read({ kind: 'position', position: 1 }, signal)) {
      entries++;
      const expected = chainHash(previous?.hash ?? CHAIN_START, entry ?? create(AuditEntrySchema));
      const numbered = entry !== undefined && Number(entry.sequence) === entries;
      if (!numbered || position !== entries || entry.hash !== expected) {
        return { intact: false, brokenSequence: entries, entries };
      }
      if (entries === head.sequence) {
        headSeen = entry.hash === head.hash;
        if (!headSeen) return { intact: false, brokenSequence: entries, entries };
      }
      previous = entry;
    }
    if (!headSeen) return { intact: false, brokenSequence: entries + 1, entries };
    return { intact: true, brokenSequence: 0, entries };
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch: Waiting[] = [];
      for (let size = 0; this.#waiting[0] !== undefined;) {
        size += this.#waiting[0].entries.length;
        if (size > BATCH_MAX && batch.length > 0) break;
        batch.push(this.#waiting.shift() as Waiting);
      }
      try {
        await this.#appendToStore(batch.flatMap(({ entries }) => entries));
        for (const { resolve } of batch) resolve();
      } catch (thrown) {
        const error = MeshError.from(thrown);
        this.#options.onError(error);
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #appendToStore(given: readonly AuditEntry[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      const store = await this.#load();
      const entries = this.#chain(given);
      const last = entries.at(-1);
      if (last === undefined) return;
      const previous = Number(this.#last?.sequence ?? 0n);
      try {
        const receipt = await store.append({
          log: AUDIT_LOG,
          partition: 0,
          records: entries.map((entry) => ({ bytes: encodeRecord(entry) })),
          producer: { id: PRODUCER, previous, last: Number(last.sequence) },
        });
        if (receipt.duplicates.length > 0 && tries < TRIES_MAX) {
          // Another replica has written these sequences; or it was this one, with an answer that
          // got lost. What the log holds tells which, and what is left to write.
          this.#loaded = false;
          continue;
        }
        if (receipt.duplicates.length > 0)
          throw unavailable('the audit is written by many at once');
        this.#last = last;
        for (const entry of entries) this.#recognise(entry);
        this.#options.onAppended(entries.length, Number(last.sequence));
        this.#headPending = true;
        if (Date.now() - this.#headWrittenMs >= HEAD_INTERVAL_MS) await this.#noteHead();
        return;
      } catch (thrown) {
        // Whatever happened, the log alone knows what is in it now.
        this.#loaded = false;
        const error = MeshError.from(thrown);
        if (error.code !== 'Aborted' || tries >= TRIES_MAX) throw error;
      }
    }
  }

  #chain(given: readonly AuditEntry[]): AuditEntry[] {
    const entries: AuditEntry[] = [];
    const seen = new Set<string>();
    for (const entry of given) {
      const hash = contentHash(entry);
      if (this.#recognised.has(hash) || seen.has(hash)) continue;
      seen.add(hash);
      entries.push(chained(entries.at(-1) ?? this.#last, entry));
    }
    return entries;
  }

  /** Opens the store and reads the end of the log, unless that is known. */
  async #load(): Promise<EventStore> {
    if (this.#store !== undefined && this.#loaded) return this.#store;
    const store = (this.#store ??= await this.#open());
    const { partitions } = await store.ensureLog({
      name: AUDIT_LOG,
      partitions: 1,
      retentionMs: 0,
      retentionBytes: 0,
      duplicateWindow: 0,
    });
    const { first = 1, last = 0 } = partitions[0] ?? {};
    if (last > 0) {
      const position = Math.max(first, last - RECOGNISED_MAX + 1);
      for await (const { entry } of this.#read({ kind: 'position', position })) {
        if (entry === undefined) continue;
        this.#last = entry;
        this.#recognise(entry);
      }
    }
    this.#loaded = true;
    return store;
  }

  #open(): Promise<EventStore> {
    return typeof this.#source === 'function' ? this.#source() : Promise.resolve(this.#source);
  }

  #recognise(entry: AuditEntry): void {
    this.#recognised.add(contentHash(entry));
    if (this.#recognised.size <= RECOGNISED_MAX) return;
    for (const oldest of this.#recognised) {
      this.#recognised.delete(oldest);
      break;
    }
  }

  /** Everything from there to the end; `entry` is undefined when it cannot be read. */
  async *#read(from: ReadFrom, signal?: AbortSignal) {
    const items = (this.#store as EventStore).read({
      log: AUDIT_LOG,
      partition: 0,
      from,
      stopAtEnd: true,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const item of items) {
      if (item.kind !== 'batch') continue;
      for (const [index, bytes] of item.records.entries()) {
        yield { position: item.positions[index] ?? 0, entry: readable(bytes) };
      }
    }
    signal?.throwIfAborted();
  }

  /** Never behind what is noted already: another replica may be further. */
  async #noteHead(): Promise<void> {
    const last = this.#last;
    if (last === undefined) return;
    this.#headPending = false;
    this.#headWrittenMs = Date.now();
    try {
      const current = await this.#kv.get(HEAD_KEY);
      const noted = parseHead(current?.value);
      if (noted.sequence >= Number(last.sequence)) return;
      const head = JSON.stringify({ sequence: Number(last.sequence), hash: last.hash });
      const ifRevision = current?.modRevision ?? 0;
      await this.#kv.put(HEAD_KEY, new TextEncoder().encode(head), { ifRevision });
    } catch (error) {
      // The entries are stored; only the proof of their number waits for the next batch.
      this.#headPending = true;
      this.#options.onError(MeshError.from(error));
    }
  }

  async #readHead() {
    return parseHead((await this.#kv.get(HEAD_KEY))?.value);
  }
}

function readable(bytes: Uint8Array): AuditEntry | undefined {
  try {
    return decodeRecord(bytes);
  } catch {
    // What cannot be read breaks the chain, and that is told by its place in it.
    return undefined;
  }
}

function parseHead(value: Uint8Array | undefined): { sequence: number; hash: string } {
  if (value === undefined) return { sequence: 0, hash: '' };
  const head = JSON.parse(new TextDecoder().decode(value)) as { sequence: number; hash: string };
  return { sequence: Number(head.sequence), hash: String(head.hash) };
}

const TEXTS = ['tenant', 'principal', 'action', 'resource', 'outcome', 'reason', 'member'] as const;

function checkEntry(init: MessageInitShape<typeof AuditEntrySchema>, index: number): AuditEntry {
  const entry = create(AuditEntrySchema, { ...init, sequence: 0n, hash: '' });
  if (entry.action === '') throw invalid(`entries[${index}].action`, 'is empty');
  for (const field of TEXTS) {
    // What somebody tried may be as long as they like; its beginning tells enough. A lone surrogate
    // would come out of the log as another character and break the chain.
    entry[field] = entry[field].slice(0, TEXT_LENGTH_MAX).toWellFormed();
  }
  return entry;
}
