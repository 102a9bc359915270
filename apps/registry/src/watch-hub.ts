import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { WatchResponseSchema, type WatchResponse } from '@eventmesh/proto-gen/registry';
import type { CallContext } from '@eventmesh/rpc';
import { REGISTRY_METRICS } from './metrics.ts';
import type { Parts } from './parts.ts';
import type { Routing } from './routing.ts';
import type { StateChange } from './state.ts';

/** Longest wait for a revision that another replica has already shown the caller. */
const CATCH_UP_MS = 2000;

type Change = NonNullable<MessageInitShape<typeof WatchResponseSchema>['change']>;

/**
 * Serves watches from one bounded history of changes. A watch that is slower than the history is
 * long gets a new snapshot, so that a slow caller costs no memory.
 */
export class WatchHub {
  readonly #parts: Parts;
  readonly #routing: Routing;
  #history: { readonly revision: number; readonly response: WatchResponse }[] = [];
  /** Number of the first entry of the history; they are counted from the start of the process. */
  #first = 0;
  /** Changes above this revision are all in the history. */
  #base = 0;
  #waiting: (() => void)[] = [];
  readonly #historyMax: number;
  readonly #closing = new AbortController();

  /** @param historyMax Changes that a watch may resume over or be behind by; else it starts anew. */
  constructor(parts: Parts, routing: Routing, historyMax: number) {
    this.#parts = parts;
    this.#historyMax = historyMax;
    this.#routing = routing;
    let loaded = false;
    parts.state.onChange((changes, revision) => {
      // The first load is where history begins, not a part of it.
      if (!loaded) this.#base = revision;
      else
        this.#addAll(
          revision,
          changes.map(toChange).filter((change) => change !== undefined),
        );
      loaded = true;
    });
    routing.onChange((table) => {
      this.#addAll(parts.state.revision, [{ case: 'routing', value: table }]);
    });
  }

  async *watch(afterRevision: bigint, ctx: CallContext): AsyncGenerator<WatchResponse> {
    const { state, metrics } = this.#parts;
    const signal = AbortSignal.any([ctx.signal, ctx.draining, this.#closing.signal]);
    metrics.watches.inc();
    let next = Infinity;
    // One that was overrun begins anew, and is behind by nothing that is kept for it.
    const end = () => this.#first + this.#history.length;
    const behind = () => (next < this.#first ? 0 : Math.max(0, end() - next));
    const stop = this.#parts.measure(REGISTRY_METRICS.watchBehind, behind);
    try {
      await state.ready;
      const after = Number(afterRevision);
      if (after > state.revision) await this.#catchUp(after, signal);
      if (after > 0 && after >= this.#base && after <= state.revision) {
        metrics.snapshots.inc({ how: 'resumed' });
        next = this.#first + this.#history.findLastIndex(({ revision }) => revision <= after) + 1;
        // What the caller routes by is compared with the table as this replica numbers it.
        yield this.#response(after, { case: 'routing', value: this.#routing.table });
      } else {
        metrics.snapshots.inc({ how: 'snapshot' });
        const snapshot = this.#snapshot();
        next = this.#first + this.#history.length;
        yield snapshot;
      }
      while (!signal.aborted) {
        if (next < this.#first) {
          metrics.snapshots.inc({ how: 'overrun' });
          const snapshot = this.#snapshot();
          next = this.#first + this.#history.length;
          yield snapshot;
          continue;
        }
        const entry = this.#history[next - this.#first];
        if (entry === undefined) await this.#changed(signal);
        else {
          next++;
          yield entry.response;
        }
      }
    } finally {
      metrics.watches.dec();
      stop();
    }
  }

  /** Ends all watches; their callers resume elsewhere. */
  close(): void {
    this.#closing.abort();
  }

  /** A replica that lags must not show a caller an older state than it has seen. */
  async #catchUp(revision: number, signal: AbortSignal): Promise<void> {
    const late = AbortSignal.timeout(CATCH_UP_MS);
    await this.#parts.state
      .reached(revision, AbortSignal.any([late, signal]))
      // The store may have been restored to an earlier time: then there is nothing to wait for.
      .catch((error: unknown) => {
        this.#parts.log.warn({ err: error, revision }, 'a watch asks for a revision yet to come');
      });
  }

  #snapshot(): WatchResponse {
    const { state } = this.#parts;
    return this.#response(state.revision, {
      case: 'snapshot',
      value: {
        subscriptions: [...state.maps.subscriptions.values()].map(({ value }) => value),
        members: [...state.maps.members.values()].map(({ value }) => value),
        routing: this.#routing.table,
      },
    });
  }

  #response(revision: number, change: Change): WatchResponse {
    return create(WatchResponseSchema, { revision: BigInt(revision), change });
  }

  /** All but the last change of a revision tell the one before it, so that none is resumed past. */
  #addAll(revision: number, changes: readonly Change[]): void {
    for (const [index, change] of changes.entries()) {
      const last = index === changes.length - 1;
      this.#history.push({
        revision,
        response: this.#response(last ? revision : revision - 1, change),
      });
    }
    // Dropped in bulk, so that one more change does not cost a move of the whole history.
    if (this.#history.length >= 2 * this.#historyMax) {
      const dropped = this.#history.length - this.#historyMax;
      this.#base = this.#history[dropped - 1]?.revision ?? this.#base;
      this.#history = this.#history.slice(dropped);
      this.#first += dropped;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      if (signal.aborted) {
        resolve();
        return;
      }
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.push(done);
    });
  }
}

function toChange(change: StateChange): Change | undefined {
  if (change.area === 'subscriptions') {
    if (change.current !== undefined) return { case: 'subscription', value: change.current };
    const [tenant = '', name = ''] = change.key.split('/');
    return { case: 'subscriptionDeleted', value: { tenant, name } };
  }
  if (change.area === 'members') {
    return change.current === undefined
      ? { case: 'memberLeft', value: change.key }
      : { case: 'member', value: change.current };
  }
  return undefined;
}
