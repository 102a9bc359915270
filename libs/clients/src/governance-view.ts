import { MeshError, unavailable } from '@eventmesh/errors';
import type {
  DeadLetterQuota,
  PolicyService,
  PolicySnapshot,
  Schedule,
  WatchPolicyResponse,
} from '@eventmesh/proto-gen/governance';
import type { Client } from '@eventmesh/rpc';
import { Backoff, pause } from '@eventmesh/time';
import { createAuditSpool, type AuditSink, type AuditSpool } from './governance-audit.ts';
import { Catalogue, type SchemaVerdict, type TopicPolicy } from './governance-catalogue.ts';
import { QuotaBook, type QuotaHandle } from './governance-quota.ts';

export interface GovernanceViewOptions {
  /** Named in the audit. */
  readonly member: string;
  /** Data larger than this is not checked against a schema but refused. Default 262,144 bytes. */
  readonly schemaDataBytesMax?: number;
  /** Most audit entries held while governance is away. Default 10,000. */
  readonly auditEntriesMax?: number;
  /** Milliseconds since the Unix epoch. Default: the system's. */
  readonly now?: () => number;
  /** Told of each failure that is survived. */
  readonly onError?: (error: MeshError) => void;
  /** Told after each change with the revision then held. */
  readonly onChange?: (revision: number) => void;
}

/**
 * The policy of governance as an emesher uses it: all questions are answered from memory, and under
 * the last policy while governance is away. Before the first policy they throw Unavailable.
 */
export interface GovernanceView {
  /** Resolves when the first policy is there; rejects when closed before. */
  readonly ready: Promise<void>;
  /** Revision of the policy held; 0 before the first. */
  readonly revision: number;
  /** Whether governance is in touch now. */
  readonly connected: boolean;
  /** The most specific catalogue entry of a topic, or undefined when there is none. */
  topicPolicy(tenant: string, topic: string): TopicPolicy | undefined;
  /** All catalogue entries of a tenant, the most specific first. */
  topicPolicies(tenant: string): readonly TopicPolicy[];
  /** Checks JSON data against the schema of its event type; other content is always ok. */
  checkSchema(
    tenant: string,
    type: string,
    contentType: string | undefined,
    data: Uint8Array,
  ): SchemaVerdict;
  /** The limits of a principal, by name; worth holding as long as its connection. */
  quota(tenant: string, principal: string): QuotaHandle;
  /** The schedules of a tenant. Throws Unavailable before the first policy. */
  schedules(tenant: string): readonly Schedule[];
  /** Tenants that have schedules; none before the first policy. */
  scheduleTenants(): readonly string[];
  /** Told after each change of schedules; answers how to stop that. */
  onSchedules(listener: () => void): () => void;
  /**
   * What dead letters of a tenant may take, as far as governance says; undefined: as configured.
   * Throws Unavailable before the first policy.
   */
  deadLetterQuota(tenant: string): DeadLetterQuota | undefined;
  /** Notes a refusal or change; never waits, never throws. */
  readonly audit: AuditSink;
  readonly auditSpool: Pick<AuditSpool, 'size' | 'dropped' | 'flush'>;
  /** Stops following and sends what is left of the audit, within the time in ms. */
  close(deadlineMs: number): Promise<void>;
}

/** Follows the policy at once; needs `close` at the end. */
export function createGovernanceView(
  client: Client<typeof PolicyService>,
  options: GovernanceViewOptions,
): GovernanceView {
  return new PolicyView(client, options);
}

class PolicyView implements GovernanceView {
  readonly ready: Promise<void>;
  readonly audit: AuditSink;
  readonly auditSpool: AuditSpool;
  revision = 0;
  connected = false;
  readonly #client: Client<typeof PolicyService>;
  readonly #options: GovernanceViewOptions;
  readonly #catalogue: Catalogue;
  readonly #quotas: QuotaBook;
  readonly #schedules = new Map<string, Schedule>();
  readonly #deadLetterQuotas = new Map<string, DeadLetterQuota>();
  readonly #scheduleListeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #loaded = false;
  #compiling = false;
  #resolveReady: () => void = () => undefined;
  #rejectReady: (error: MeshError) => void = () => undefined;

  constructor(client: Client<typeof PolicyService>, options: GovernanceViewOptions) {
    const { member, auditEntriesMax, now, onError, schemaDataBytesMax = 262_144 } = options;
    this.#client = client;
    this.#options = options;
    this.#catalogue = new Catalogue(schemaDataBytesMax);
    this.#quotas = new QuotaBook(now ?? (() => performance.now()));
    this.auditSpool = createAuditSpool(client, {
      member,
      ...(auditEntriesMax === undefined ? {} : { entriesMax: auditEntriesMax }),
      ...(now === undefined ? {} : { now }),
      ...(onError === undefined ? {} : { onError }),
    });
    this.audit = this.auditSpool.append;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // Whoever never asks for `ready` must not be ended by its rejection at close.
    this.ready.catch(() => undefined);
    this.#following = this.#follow();
  }

  topicPolicy(tenant: string, topic: string): TopicPolicy | undefined {
    this.#checkLoaded();
    return this.#catalogue.topicPolicy(tenant, topic);
  }

  topicPolicies(tenant: string): readonly TopicPolicy[] {
    this.#checkLoaded();
    return this.#catalogue.topicPolicies(tenant);
  }

  checkSchema(
    tenant: string,
    type: string,
    contentType: string | undefined,
    data: Uint8Array,
  ): SchemaVerdict {
    this.#checkLoaded();
    return this.#catalogue.checkSchema(tenant, type, contentType, data);
  }

  quota(tenant: string, principal: string): QuotaHandle {
    this.#checkLoaded();
    return this.#quotas.handle(tenant, principal);
  }

  schedules(tenant: string): readonly Schedule[] {
    this.#checkLoaded();
    return [...this.#schedules.values()].filter((schedule) => schedule.tenant === tenant);
  }

  scheduleTenants(): readonly string[] {
    return [...new Set([...this.#schedules.values()].map(({ tenant }) => tenant))];
  }

  onSchedules(listener: () => void): () => void {
    this.#scheduleListeners.add(listener);
    return () => this.#scheduleListeners.delete(listener);
  }

  deadLetterQuota(tenant: string): DeadLetterQuota | undefined {
    this.#checkLoaded();
    return this.#deadLetterQuotas.get(tenant);
  }

  async close(deadlineMs: number): Promise<void> {
    this.#closing.abort();
    this.#rejectReady(new MeshError('Cancelled', 'the view of the policy is closed'));
    await this.#following;
    await this.auditSpool.close(deadlineMs);
  }

  #checkLoaded(): void {
    if (!this.#loaded) throw unavailable('the policy of governance has not been loaded yet');
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff({ baseMs: 50, maxMs: 3200 });
    while (!signal.aborted) {
      try {
        const after = { afterRevision: BigInt(this.revision) };
        for await (const response of this.#client.watchPolicy(after, { signal })) {
          backoff.reset();
          this.connected = true;
          this.#apply(response);
        }
      } catch (error) {
        if (!signal.aborted) this.#options.onError?.(MeshError.from(error));
      }
      this.connected = false;
      await pause(backoff.nextMs(), signal);
    }
  }

  #apply({ change, revision }: WatchPolicyResponse): void {
    switch (change.case) {
      case 'snapshot':
        this.#reset(change.value);
        break;
      case 'topic':
        this.#catalogue.setTopic(change.value);
        break;
      case 'topicDeleted':
        this.#catalogue.deleteTopic(change.value);
        break;
      case 'eventType':
        this.#catalogue.setType(change.value);
        break;
      case 'eventTypeDeleted':
        this.#catalogue.deleteType(change.value);
        break;
      case 'quota':
        this.#quotas.set(change.value);
        break;
      case 'quotaDeleted':
        this.#quotas.delete(change.value);
        break;
      case 'schedule':
        this.#setSchedule(change.value);
        break;
      case 'scheduleDeleted':
        this.#schedules.delete(scheduleKey(change.value));
        break;
      case 'deadLetterQuota':
        this.#deadLetterQuotas.set(change.value.tenant, change.value);
        break;
      case 'deadLetterQuotaDeleted':
        this.#deadLetterQuotas.delete(change.value.tenant);
        break;
      case undefined:
        // Only the revision: we are up to date.
        break;
    }
    this.revision = Number(revision);
    const { case: kind } = change;
    if (kind === 'snapshot' || kind === 'schedule' || kind === 'scheduleDeleted') {
      for (const listener of this.#scheduleListeners) listener();
    }
    this.#compileSoon();
    this.#options.onChange?.(this.revision);
  }

  #reset({ topics, eventTypes, quotas, schedules, deadLetterQuotas }: PolicySnapshot): void {
    this.#catalogue.reset(topics, eventTypes);
    this.#quotas.reset(quotas);
    this.#schedules.clear();
    for (const schedule of schedules) this.#setSchedule(schedule);
    this.#deadLetterQuotas.clear();
    for (const quota of deadLetterQuotas) this.#deadLetterQuotas.set(quota.tenant, quota);
    this.#loaded = true;
    this.#resolveReady();
  }

  #setSchedule(schedule: Schedule): void {
    this.#schedules.set(scheduleKey(schedule), schedule);
  }

  /** One schema a turn, so that no event waits for more than one. */
  #compileSoon(): void {
    if (this.#compiling) return;
    this.#compiling = true;
    const next = () => {
      this.#compiling = !this.#closing.signal.aborted && this.#catalogue.compileNext();
      if (this.#compiling) setImmediate(next);
    };
    setImmediate(next);
  }
}

const scheduleKey = ({ tenant, name }: Schedule): string => `${tenant}/${name}`;
