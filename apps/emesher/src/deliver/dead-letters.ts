import type { Entry, Subscription } from '@eventmesh/delivery';
import { EventView, encodeEvent, encodeRecord, type AttributeValue } from '@eventmesh/event';
import type { EventStore } from '@eventmesh/store-api';

/** Cause, attempts and place are attached under these names. */
const ATTRIBUTES = {
  cause: 'meshdeadcause',
  attempts: 'meshdeadattempts',
  subscription: 'meshdeadsubscription',
  position: 'meshdeadposition',
} as const;

/** Most of a consumer's reason that is kept. */
const REASON_LENGTH_MAX = 256;

/**
 * The dead letters of a tenant: a log of their own, `dead.<tenant>`, in which each record is the
 * original event with its cause attached; its data stays byte for byte.
 */
export class DeadLetters {
  readonly #store: EventStore;
  readonly #site: string;
  readonly #now: () => number;
  readonly #made = new Map<string, Promise<unknown>>();

  constructor(store: EventStore, site: string, now: () => number) {
    this.#store = store;
    this.#site = site;
    this.#now = now;
  }

  /** Resolves once all of them are durable; rejects when none is. */
  async write(subscription: Subscription, entries: readonly Entry[]): Promise<void> {
    const log = await this.#log(subscription.tenant);
    for (let from = 0; from < entries.length; from += 500) {
      const records = entries.slice(from, from + 500).map((entry) => ({
        bytes: this.#record(subscription, entry),
        // A crash between the letter and the cursor must not make two of it.
        dedupKey: `${subscription.name}/${entry.partition}/${entry.position}`,
      }));
      await this.#store.append({ log, partition: 0, records });
    }
  }

  #record(subscription: Subscription, entry: Entry): Buffer {
    const { record } = entry;
    const event = new EventView(record.event);
    const text = (value: string): AttributeValue => ({ kind: 'string', value });
    const attributes: [string, AttributeValue][] = [
      ...event.attributes,
      [ATTRIBUTES.cause, text(entry.reason.slice(0, REASON_LENGTH_MAX) || 'rejected')],
      [ATTRIBUTES.attempts, { kind: 'integer', value: entry.attempts }],
      [ATTRIBUTES.subscription, text(subscription.name)],
      [ATTRIBUTES.position, text(`${this.#site}/${entry.partition}/${entry.position}`)],
    ];
    const { id, source, type, specVersion, data } = event;
    const parts = { id, source, type, specVersion, attributes };
    const letter = encodeEvent(data === undefined ? parts : { ...parts, data });
    return encodeRecord(
      {
        tenant: record.tenant,
        topic: record.topic,
        principal: record.principal,
        originSite: record.originSite,
        destinations: [],
        key: record.key,
        ingressTimeUs: record.ingressTimeUs,
        traceparent: record.traceparent,
        hops: [...record.hops, { site: this.#site, timeUs: this.#now() * 1000 }],
      },
      letter,
    );
  }

  async #log(tenant: string): Promise<string> {
    const name = `dead.${tenant}`;
    let made = this.#made.get(name);
    if (made === undefined) {
      made = this.#store.ensureLog({
        name,
        partitions: 1,
        retentionMs: 0,
        retentionBytes: 0,
        duplicateWindow: 10_000,
      });
      this.#made.set(name, made);
      made.catch(() => this.#made.delete(name));
    }
    await made;
    return name;
  }
}
