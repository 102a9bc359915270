import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import {
  AuditEntrySchema,
  type AuditEntry,
  type PolicyService,
} from '@eventmesh/proto-gen/governance';
import type { Client } from '@eventmesh/rpc';
import { doubled, jittered, pause } from '@eventmesh/time';

export type AuditEntryInit = MessageInitShape<typeof AuditEntrySchema>;

/** Takes an entry at once and never throws; what becomes of it is the spool's affair. */
export type AuditSink = (entry: AuditEntryInit) => void;

export interface AuditSpoolOptions {
  /** Set in entries that do not name their member. */
  readonly member: string;
  /** Most entries held while governance is away; further ones are counted. Default 10,000. */
  readonly entriesMax?: number;
  /**
   * Like entries within this time become one with a count, in ms. Default 1,000. Those whose
   * outcome is `done` are changes: each is kept and sent at once.
   */
  readonly foldMs?: number;
  /** Deadline of a call, in ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** Milliseconds since the Unix epoch. Default: the system's. */
  readonly now?: () => number;
  /** Told of each failed try; entries stay. */
  readonly onError?: (error: MeshError) => void;
}

export interface AuditSpool {
  readonly append: AuditSink;
  /** Entries not yet accepted by governance. */
  readonly size: number;
  /** Entries that found the spool full, ever; the audit itself gets their number afterwards. */
  readonly dropped: number;
  /** Sends what is there; resolves when all was accepted, rejects with the first failure. */
  flush(): Promise<void>;
  /** Tries to send what is left within the time, in ms, and stops. May be called twice. */
  close(deadlineMs: number): Promise<void>;
}

/** Most entries in one call. */
const BATCH_MAX = 500;

/** Holds audit entries, folds like ones, and sends them in batches until they are accepted. */
export function createAuditSpool(
  client: Client<typeof PolicyService>,
  options: AuditSpoolOptions,
): AuditSpool {
  return new Spool(client, options);
}

class Spool implements AuditSpool {
  readonly append: AuditSink = (entry) => this.#add(entry);
  readonly #client: Client<typeof PolicyService>;
  readonly #options: AuditSpoolOptions;
  readonly #entriesMax: number;
  readonly #foldMs: number;
  readonly #now: () => number;
  readonly #closing = new AbortController();
  /** Still folding, oldest first. */
  readonly #open = new Map<string, { readonly entry: AuditEntry; readonly sinceMs: number }>();
  /** Closed entries, in the order they will be sent. */
  #ready: AuditEntry[] = [];
  /** Given to a call whose outcome is not known yet; sent again as they are. */
  #sending: AuditEntry[] = [];
  /** One sender at a time: order is kept, and a repeated batch is the same batch. */
  #turn: Promise<void> = Promise.resolve();
  #dropped = 0;
  #untold = 0;
  #wake: (() => void) | undefined;
  /** Ends the pause before the next sending, unless it is a pause after a failure. */
  #hurry: AbortController | undefined;
  readonly #running: Promise<void>;

  constructor(client: Client<typeof PolicyService>, options: AuditSpoolOptions) {
    this.#client = client;
    this.#options = options;
    this.#entriesMax = options.entriesMax ?? 10_000;
    this.#foldMs = options.foldMs ?? 1000;
    this.#now = options.now ?? Date.now;
    this.#running = this.#run();
  }

  get size(): number {
    return this.#open.size + this.#ready.length + this.#sending.length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  flush(): Promise<void> {
    this.#closeEntries(true);
    return this.#sendReady();
  }

  async close(deadlineMs: number): Promise<void> {
    if (this.#closing.signal.aborted) return this.#running;
    this.#closing.abort();
    this.#wake?.();
    await this.#running;
    const end = this.#now() + deadlineMs;
    while (this.size > 0) {
      try {
        await this.flush();
      } catch (error) {
        this.#options.onError?.(MeshError.from(error));
        if (this.#now() >= end) return;
        await pause(Math.min(100, Math.max(1, end - this.#now())));
      }
    }
  }

  #add(init: AuditEntryInit): void {
    const nowMs = this.#now();
    const entry = create(AuditEntrySchema, {
      ...init,
      timeMs: init.timeMs ?? BigInt(nowMs),
      member: init.member ?? this.#options.member,
      count: init.count ?? 1n,
    });
    const { tenant, principal, action, resource, outcome } = entry;
    if (outcome === 'done' && this.size < this.#entriesMax) {
      this.#closeEntries(true);
      this.#ready.push(entry);
      this.#wake?.();
      this.#hurry?.abort();
      return;
    }
    const key = JSON.stringify([tenant, principal, action, resource, outcome]);
    const open = this.#open.get(key);
    if (open !== undefined && nowMs - open.sinceMs < this.#foldMs) {
      open.entry.count += entry.count;
      return;
    }
    if (this.size >= this.#entriesMax) {
      this.#dropped += Number(entry.count);
      this.#untold += Number(entry.count);
      return;
    }
    if (open !== undefined) {
      this.#open.delete(key);
      this.#ready.push(open.entry);
    }
    this.#open.set(key, { entry, sinceMs: nowMs });
    this.#wake?.();
  }

  /** Closes the entries whose time is over, or all. */
  #closeEntries(all: boolean): void {
    const nowMs = this.#now();
    for (const [key, { entry, sinceMs }] of this.#open) {
      if (!all && nowMs - sinceMs < this.#foldMs) break;
      this.#open.delete(key);
      this.#ready.push(entry);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted;) {
      if (this.size === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
      await this.#pause(failures);
      if (signal.aborted) return;
      this.#closeEntries(false);
      try {
        await this.#sendReady();
        failures = 0;
      } catch (error) {
        failures = Math.min(failures + 1, 10);
        this.#options.onError?.(MeshError.from(error));
      }
    }
  }

  async #pause(failures: number): Promise<void> {
    const closing = this.#closing.signal;
    if (failures > 0) {
      await pause(jittered(doubled(200, 10_000, failures)), closing);
    } else if (this.#ready.length === 0) {
      this.#hurry = new AbortController();
      await pause(this.#foldMs, AbortSignal.any([closing, this.#hurry.signal]));
      this.#hurry = undefined;
    }
  }

  #sendReady(): Promise<void> {
    this.#turn = this.#turn.catch(() => undefined).then(() => this.#sendBatches());
    return this.#turn;
  }

  async #sendBatches(): Promise<void> {
    for (;;) {
      if (this.#sending.length === 0) {
        this.#sending = this.#ready.splice(0, BATCH_MAX);
        this.#tellDropped();
      }
      if (this.#sending.length === 0) return;
      const timeoutMs = this.#options.timeoutMs ?? 5000;
      await this.#client.appendAudit({ entries: this.#sending }, { timeoutMs });
      this.#sending = [];
    }
  }

  /** The gap itself belongs in the audit. */
  #tellDropped(): void {
    if (this.#untold === 0 || this.#sending.length >= BATCH_MAX) return;
    this.#sending.push(
      create(AuditEntrySchema, {
        timeMs: BigInt(this.#now()),
        action: 'audit',
        outcome: 'refused',
        reason: 'SPOOL_FULL',
        member: this.#options.member,
        count: BigInt(this.#untold),
      }),
    );
    this.#untold = 0;
  }
}
