import { clone, toBinary } from '@bufbuild/protobuf';
import { MeshError, invalid } from '@eventmesh/errors';
import { checkTopicFilter } from '@eventmesh/event';
import type { KvEntry, KvWriteResult } from '@eventmesh/kv-api';
import {
  SubscriptionSchema,
  Subscription_Mode,
  type Subscription,
} from '@eventmesh/proto-gen/subscriber';
import { pageOf, pageSizeOf, readPageToken, writePageToken } from '@eventmesh/rpc';
import type { Advertiser } from './advertiser.ts';
import { Background } from './background.ts';
import { BroadcastParts } from './broadcast-parts.ts';
import { DECODE, key } from './keys.ts';
import type { Members } from './members.ts';
import { isName, type Parts } from './parts.ts';

const FILTERS_MAX = 64;

export interface SubscriptionsOptions {
  /** Most subscriptions, the parts of broadcasts among them. */
  readonly countMax: number;
  readonly onError: (error: MeshError) => void;
}

/** The subscriptions of the site: the truth about them is here, their running is the emeshers'. */
export class Subscriptions {
  readonly #parts: Parts;
  readonly #members: Members;
  readonly #advertiser: Advertiser;
  readonly #countMax: number;
  readonly #broadcastParts: BroadcastParts;
  /** Broadcasts that are gone, however that came, and may have left parts. */
  readonly #gone = new Map<string, Subscription>();
  readonly #sweeps: Background;

  constructor(
    parts: Parts,
    members: Members,
    advertiser: Advertiser,
    { countMax, onError }: SubscriptionsOptions,
  ) {
    this.#parts = parts;
    this.#members = members;
    this.#advertiser = advertiser;
    this.#countMax = countMax;
    this.#broadcastParts = new BroadcastParts(parts.kv);
    this.#sweeps = new Background(() => this.#sweepGone(), parts.clock, onError);
    parts.state.onChange((changes) => {
      for (const { area, key: id, previous, current } of changes) {
        if (area !== 'subscriptions') continue;
        if (current === undefined && previous?.mode === Subscription_Mode.BROADCAST) {
          this.#gone.set(id, previous);
          this.#sweeps.poke();
        }
        const change = current === undefined ? 'deleted' : 'put';
        parts.metrics.subscriptionChanges.inc({ change });
      }
      parts.metrics.subscriptions.set(parts.state.maps.subscriptions.size);
    });
  }

  /**
   * Creates or replaces. Returns only after the site's advertised interest covers it: an event
   * published elsewhere once the interest has arrived there will find it. A part of a broadcast has
   * the interest of its whole, and is refused without that one.
   *
   * @param expected 0: whatever is there; -1: must not exist; else the current revision
   */
  async put(
    given: Subscription | undefined,
    expected: bigint,
    leaseId: string,
    signal: AbortSignal,
  ): Promise<{ subscription: Subscription; interestVersion: bigint }> {
    const { state, site, clock } = this.#parts;
    const subscription = clone(SubscriptionSchema, checkSubscription(given));
    if ((subscription.ephemeral === true) !== (leaseId !== '')) {
      throw invalid('lease_id', 'an ephemeral subscription needs its member’s lease, others none');
    }
    if (leaseId !== '') await this.#members.lease(leaseId);
    const id = `${subscription.tenant}/${subscription.name}`;
    if (state.maps.subscriptions.size >= this.#countMax && !state.maps.subscriptions.has(id)) {
      throw new MeshError('ResourceExhausted', `the site has ${this.#countMax} subscriptions`, {
        field: 'subscription',
        limit: `${this.#countMax} subscriptions`,
      });
    }
    subscription.site = site;
    subscription.revision = 0n;
    if (subscription.createdMs === 0n) subscription.createdMs = BigInt(clock.now());
    const result = await this.#write(subscription, Number(expected), leaseId);
    if (result === undefined) throw noSubscription(subscription.tenant, subscription.broadcastOf);
    if (!result.applied) throw changedMeanwhile(id, expected, result.current);
    subscription.revision = BigInt(result.revision);
    if (expected < 0n && subscription.mode === Subscription_Mode.BROADCAST) {
      await this.#broadcastParts.sweep(subscription.tenant, subscription.name);
    }
    const interestVersion = await this.#advertiser.covers(result.revision, signal);
    return { subscription, interestVersion };
  }

  async get(tenant: string, name: string): Promise<Subscription> {
    const entry = await this.#parts.kv.get(subscriptionKey(tenant, name));
    if (entry === undefined) throw noSubscription(tenant, name);
    return read(entry);
  }

  /** A page of a tenant's subscriptions by name; of all tenants' when `tenant` is empty. */
  async list(
    tenant: string,
    pageSize: number,
    pageToken: string,
  ): Promise<{ subscriptions: Subscription[]; nextPageToken: string }> {
    if (tenant !== '' && !isName(tenant)) throw invalid('tenant', 'is not the name of a tenant');
    const prefix = tenant === '' ? 'subscriptions/' : `subscriptions/${tenant}/`;
    const after = readPageToken(prefix, pageToken);
    const limit = pageSizeOf(pageSize);
    const found = await this.#parts.kv.range(prefix, {
      limit,
      ...(after === undefined ? {} : { after }),
    });
    const page = pageOf(found.entries, limit, {
      scope: prefix,
      keyOf: (entry) => entry.key,
      bytesOf: ({ value }) => value.length,
    });
    const rest = found.next === undefined ? '' : writePageToken(prefix, found.next);
    return {
      subscriptions: page.entries.map(read),
      nextPageToken: page.nextPageToken === '' ? rest : page.nextPageToken,
    };
  }

  /** Its interest goes later, after the linger; the parts of a broadcast go with it. */
  async delete(tenant: string, name: string): Promise<void> {
    const result = await this.#parts.kv.delete(subscriptionKey(tenant, name));
    if (!result.applied) throw noSubscription(tenant, name);
    await this.#broadcastParts.sweep(tenant, name);
  }

  close(): Promise<void> {
    return this.#sweeps.close();
  }

  /** Such as one that went with the lease of its member. */
  async #sweepGone(): Promise<void> {
    for (const [id, { tenant, name }] of [...this.#gone]) {
      await this.#broadcastParts.sweep(tenant, name);
      this.#gone.delete(id);
    }
  }

  /** What is changed stays on the lease that it is on, whoever changes it. */
  async #write(
    subscription: Subscription,
    expected: number,
    leaseId: string,
  ): Promise<KvWriteResult | undefined> {
    const { kv } = this.#parts;
    const at = key('subscriptions', subscription.tenant, subscription.name);
    const changed = leaseId !== '' && expected > 0;
    const lease = (changed ? (await kv.get(at))?.lease : undefined) ?? leaseId;
    const onLease = lease === '' ? {} : { lease };
    const value = toBinary(SubscriptionSchema, subscription);
    if (subscription.broadcastOf !== '') {
      return this.#broadcastParts.put(subscription, value, expected, onLease);
    }
    const condition = expected === 0 ? {} : { ifRevision: Math.max(expected, 0) };
    return kv.put(at, value, { ...onLease, ...condition });
  }
}

function subscriptionKey(tenant: string, name: string): string {
  if (!isName(tenant)) throw invalid('tenant', 'is not the name of a tenant');
  const names = name.split(':');
  if (names.length > 2 || !names.every(isName)) {
    throw invalid('name', 'is not the name of a subscription');
  }
  return key('subscriptions', tenant, name);
}

function read(entry: KvEntry): Subscription {
  const subscription = DECODE.subscriptions(entry.value);
  subscription.revision = BigInt(entry.modRevision);
  return subscription;
}

const noSubscription = (tenant: string, name: string): MeshError =>
  new MeshError('NotFound', `tenant "${tenant}" has no subscription "${name}"`, { field: 'name' });

function changedMeanwhile(id: string, expected: bigint, current: KvEntry | undefined): MeshError {
  const is =
    current === undefined ? 'it does not exist' : `it is at revision ${current.modRevision}`;
  const want = expected < 0n ? 'a new one was wanted' : `revision ${expected} was expected`;
  return new MeshError('Aborted', `subscription ${id}: ${want}, ${is}; read it and try again`, {
    field: 'expected_revision',
    facts: { revision: String(current?.modRevision ?? 0) },
  });
}

function checkSubscription(subscription: Subscription | undefined): Subscription {
  if (subscription === undefined) throw invalid('subscription', 'is missing');
  const { name, tenant, topicFilters, ackTimeoutMs, inFlightMax, broadcastOf } = subscription;
  // A part of a broadcast is named after the whole and its consumer, with a `:` between.
  const part = broadcastOf !== '' && name.startsWith(`${broadcastOf}:`);
  const own = part ? name.slice(broadcastOf.length + 1) : name;
  if (!isName(own) || (broadcastOf !== '' && !(part && isName(broadcastOf)))) {
    throw invalid('subscription.name', 'must be 1 to 128 letters, digits, "-", "_" or "."');
  }
  if (!isName(tenant)) throw invalid('subscription.tenant', 'is not the name of a tenant');
  const [least, most] = broadcastOf === '' ? [1, FILTERS_MAX] : [0, 0];
  if (topicFilters.length < least || topicFilters.length > most) {
    throw invalid(
      'subscription.topic_filters',
      part
        ? 'a part of a broadcast has those of its whole, and none of its own'
        : `there must be 1 to ${FILTERS_MAX}, got ${topicFilters.length}`,
      { limit: `${most} filters` },
    );
  }
  for (const [index, filter] of topicFilters.entries()) {
    checkTopicFilter(filter, `subscription.topic_filters[${index}]`);
  }
  if (ackTimeoutMs !== 0n && (ackTimeoutMs < 1000n || ackTimeoutMs > 43_200_000n)) {
    throw invalid(
      'subscription.ack_timeout_ms',
      `must be 1,000 to 43,200,000, got ${ackTimeoutMs}`,
    );
  }
  if (inFlightMax > 65_536) {
    throw invalid('subscription.in_flight_max', `must be 1 to 65,536, got ${inFlightMax}`);
  }
  return subscription;
}
