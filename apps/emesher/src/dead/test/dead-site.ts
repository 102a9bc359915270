import type { Authorizer, GovernanceView, Session as Grants } from '@eventmesh/clients';
import { compileGrants } from '@eventmesh/clients';
import { SUBSCRIPTION_DEFAULTS, type Subscription } from '@eventmesh/delivery';
import { NO_HANDLING, decodeRecord, encodeEvent, encodeRecord } from '@eventmesh/event';
import { MeshError } from '@eventmesh/errors';
import { Action } from '@eventmesh/proto-gen/acl';
import type { DeadLetterQuota } from '@eventmesh/proto-gen/governance';
import type { AppendBatch, EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { tempDir } from '@eventmesh/testing';
import { loadConfig, section } from '@eventmesh/config';
import { dataPlaneConfig } from '../../config.ts';
import type { Directory } from '../../control/directory.ts';
import { Journal } from '../../inspect/journal.ts';
import { Ledger } from '../../inspect/ledger.ts';
import { Refusals } from '../../inspect/refusals.ts';
import { ServedBy } from '../../inspect/served-by.ts';
import { Logs } from '../../logs.ts';
import { emesherMetrics } from '../../metrics.ts';
import { OwnerCalls } from '../../peer/owner-calls.ts';
import { CallerSession } from '../../session.ts';
import { createDeadParts, type Dead, type DeadParts } from '../index.ts';

export const TENANT = 'acme';
type Audit = Parameters<GovernanceView['audit']>[0];

/** Who owns what at a site, as its registry would say. */
class Owners {
  readonly epochs = new Map<string, number>();
  readonly owners = new Map<string, string>();

  acquire(name: string, member: string): Promise<number> {
    const owner = this.owners.get(name);
    if (owner !== undefined && owner !== member)
      return Promise.reject(new Error(`${owner} has it`));
    if (owner === undefined) this.epochs.set(name, (this.epochs.get(name) ?? 0) + 1);
    this.owners.set(name, member);
    return Promise.resolve(this.epochs.get(name) ?? 0);
  }
}

/** A store with the dead letters of some emeshers on it, each with a life of its own. */
export class DeadSite {
  readonly dir = tempDir('dead-letters');
  readonly metrics = new Metrics();
  readonly audited: Audit[] = [];
  readonly subscriptions = new Map<string, Subscription>();
  readonly owners = new Owners();
  /** What governance says of tenants. */
  readonly quotas = new Map<string, DeadLetterQuota>();
  /** Who may publish what, by name; acl does not know anybody else. */
  readonly publishers = new Map<string, string[]>();
  /** Who may receive what, by name; owners may receive everything until a test says otherwise. */
  readonly receivers = new Map<string, string[]>();
  aclAway = false;
  /** Why the store refuses to append to the dead letters, while it does. */
  refusal: ((batch: AppendBatch) => Error | undefined) | undefined;
  nowMs = 1_700_000_000_000;
  #store: EventStore | undefined;

  get store(): EventStore {
    if (this.#store === undefined) throw new Error('not opened');
    return this.#store;
  }

  async open(): Promise<void> {
    this.#store = await openEmbeddedStore({ dir: this.dir.path, now: () => this.nowMs });
  }

  async close(): Promise<void> {
    await this.#store?.close();
    this.dir.remove();
  }

  emesher(member: string, config: Readonly<Record<string, unknown>> = {}): DeadParts {
    const { store } = this;
    const spec = section('', dataPlaneConfig);
    const { deadLetters, log } = loadConfig(spec, { value: { deadLetters: config } });
    const directory = {
      subscriptions: this.subscriptions,
      acquire: (name: string) => this.owners.acquire(name, member),
      release: (name: string) => Promise.resolve(void this.owners.owners.delete(name)),
      destinations: () => ['east'],
    };
    const metrics = this.metrics.use(emesherMetrics);
    const ledger = new Ledger({
      metrics,
      policies: {} as GovernanceView,
      served: new ServedBy(),
      refusals: new Refusals(0, () => 0),
      now: () => this.nowMs,
    });
    return createDeadParts({
      site: 'west',
      store: this.#faulty(store),
      logs: new Logs(store, log),
      directory: directory as Pick<
        Directory,
        'subscriptions' | 'acquire' | 'release' | 'destinations'
      >,
      policies: {
        revision: 5,
        audit: (entry) => this.audited.push(entry),
        deadLetterQuota: (tenant) => this.quotas.get(tenant),
      },
      authorizer: { sessionFor: (principal) => this.#sessionFor(principal) },
      owners: new OwnerCalls({
        peers: { callable: false, owner: (error) => Promise.reject(error) },
        pause: () => Promise.resolve(),
        waitMs: 0,
      }),
      ledger,
      metrics,
      journal: new Journal(100),
      logger: createLogger({ level: 'silent', service: 'test', site: 'west' }),
      config: deadLetters,
      now: () => this.nowMs,
    });
  }

  subscribe(name: string, owner = 'user:owner', more: Partial<Subscription> = {}): Subscription {
    const tenant = TENANT;
    const who = owner.replace(/^.*:/, '');
    if (!this.receivers.has(who)) this.receivers.set(who, ['#']);
    const subscription: Subscription = {
      ...SUBSCRIPTION_DEFAULTS,
      name,
      tenant,
      owner,
      topicFilters: ['orders/#'],
      site: 'west',
      createdMs: 1,
      revision: 1,
      broadcastOf: '',
      ...more,
    };
    this.subscriptions.set(`${tenant}/${name}`, subscription);
    return subscription;
  }

  async #sessionFor({ name = '' }: Parameters<Authorizer['sessionFor']>[0]): Promise<Grants> {
    if (this.aclAway) throw new MeshError('Unavailable', 'acl is away');
    const publish = this.publishers.get(name);
    const subscribe = this.receivers.get(name);
    if (publish === undefined && subscribe === undefined) {
      throw new MeshError('Unauthenticated', `${name} is not known`);
    }
    return caller(name, { publish: publish ?? [], subscribe: subscribe ?? [] }).grants;
  }

  /** The real store but for the faults that a test asks for. */
  #faulty(store: EventStore): EventStore {
    return new Proxy(store, {
      get: (target, key: keyof EventStore) => {
        if (key === 'append') {
          return (batch: AppendBatch) => {
            const refusal = this.refusal?.(batch);
            return refusal === undefined ? target.append(batch) : Promise.reject(refusal);
          };
        }
        const value = target[key];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}

/** A caller with these rights. */
export function caller(
  name: string,
  rights: Readonly<Partial<Record<'subscribe' | 'publish' | 'admin' | 'inspect', string[]>>>,
  tenant = TENANT,
): CallerSession {
  const grants = compileGrants([
    ...(rights.subscribe ?? []).map((topicFilter) => ({ action: Action.SUBSCRIBE, topicFilter })),
    ...(rights.publish ?? []).map((topicFilter) => ({ action: Action.PUBLISH, topicFilter })),
    ...(rights.admin ?? []).map((topicFilter) => ({ action: Action.ADMIN, topicFilter })),
    ...(rights.inspect ?? []).map((topicFilter) => ({ action: Action.INSPECT, topicFilter })),
  ]);
  const session: Partial<Grants> = {
    principal: { tenant, kind: 1, name, roles: [] } as unknown as Grants['principal'],
    expiresMs: 0,
    can: (action, resource) => grants.allows(action, resource),
    canPublish: (topic) => grants.allows(Action.PUBLISH, topic),
    canSubscribe: (filter) => grants.allows(Action.SUBSCRIBE, filter),
    canReceive: (topic) => grants.allows(Action.SUBSCRIBE, topic),
  };
  return new CallerSession(session as Grants);
}

/** An event that a subscription gives up. */
export function dying(
  id: number,
  more: Partial<Dead> & { bytes?: number; principal?: string } = {},
): Dead {
  const { bytes = 10, principal = 'p', ...rest } = more;
  const data = { kind: 'binary', bytes: Buffer.alloc(bytes, id) } as const;
  const event = encodeEvent({ id: String(id), source: '/s', type: 't', data });
  const head = {
    tenant: TENANT,
    topic: 'orders/new',
    principal,
    originSite: 'west',
    destinations: [],
    ingressTimeUs: 1,
    hops: [],
    handling: NO_HANDLING,
  };
  return {
    subscription: 'billing',
    subscriptionCreatedMs: 1,
    cause: 'bad',
    attempts: 1,
    partition: 0,
    position: id,
    policyRevision: 5,
    deadMs: 1_700_000_000_000 + id,
    record: decodeRecord(encodeRecord(head, event)),
    ...rest,
  };
}
