import type {
  InspectPort,
  LedgerFinding,
  LedgerLine,
  Session,
  WhyAnswer,
  WhyState,
} from '@eventmesh/adapter-api';
import { topicMatches } from '@eventmesh/event';
import { MeshError } from '@eventmesh/errors';
import type { MemoryRecord, MemorySubscription } from './memory-subscription.ts';

/** What of the memory mesh can be looked at. */
export interface MemoryInspected {
  readonly site: string;
  records(tenant: string): readonly MemoryRecord[];
  subscriptions(tenant: string): readonly MemorySubscription[];
  /** Partitions with the first position kept and the last one. */
  partitions(): readonly { readonly first: number; readonly last: number }[];
}

/** Looking at the memory mesh; it knows one site and no policies. */
export function memoryInspect(mesh: MemoryInspected): InspectPort {
  const { site } = mesh;
  const found = (session: Session, id: string, source: string | undefined) =>
    mesh
      .records(session.principal.tenant)
      .filter(({ view }) => view.id === id && (source ?? view.source) === view.source);
  return {
    trace: async (session, eventId, source) => ({
      steps: found(session, eventId, source).map((record) => ({
        ...placeOf(site, record),
        timeUs: record.ingressTimeUs,
        step: 'stored',
        subject: '',
        detail: '',
      })),
      unreachableSites: [],
      silentEmeshers: [],
    }),
    sites: async () => ({
      site,
      sites: [{ site, links: [], interest: [], httpAddress: '' }],
      routes: [],
      lost: [],
    }),
    ledger: async (session) => ledgerOf(mesh, session),
    checkLedger: async (session) => mesh.subscriptions(session.principal.tenant).map(finding),
    why: async (session, { eventId, source, subscription }) => {
      const all = mesh.subscriptions(session.principal.tenant);
      const asked = all.filter(({ spec }) => spec.name === (subscription ?? spec.name));
      const records = found(session, eventId, source);
      if (subscription !== undefined && asked.length === 0 && records.length > 0) {
        throw new MeshError('NotFound', `no site has a subscription "${subscription}"`, {
          field: 'subscription',
        });
      }
      const answers = records.flatMap((record) => asked.map((one) => answer(site, one, record)));
      return { answers, unreachableSites: [], silentEmeshers: [], searches: [] };
    },
    store: async ({ principal: { tenant } }) => ({
      site,
      store: 'memory',
      durability: 'memory',
      evidence: ['events are kept in the memory of this process'],
      warnings: ['everything is lost when the process ends; use it for tests alone'],
      recordBytesMax: 1024 * 1024,
      logs: [
        { log: `events.${tenant}`, retentionMs: 0, retentionBytes: 0, partitions: logOf(mesh) },
      ],
      refusedTopics: [],
    }),
    topics: async ({ principal: { tenant } }) =>
      [...Map.groupBy(mesh.records(tenant), ({ topic }) => topic)].map(([topic, records]) => ({
        topic,
        events: records.length,
        lastTimeMs: Math.floor((records.at(-1)?.ingressTimeUs ?? 0) / 1000),
      })),
  };
}

const placeOf = (site: string, { view, topic, partition, position }: MemoryRecord) => ({
  site,
  partition,
  position,
  source: view.source,
  topic,
});

const logOf = (mesh: MemoryInspected) =>
  mesh.partitions().map(({ first, last }, partition) => ({ partition, first, last, bytes: 0 }));

function ledgerOf(mesh: MemoryInspected, { principal: { tenant } }: Session): LedgerLine[] {
  const accepted = mesh.records(tenant).length;
  const none = { delivered: 0, filtered: 0, expired: 0, deadLettered: 0, dropped: 0, held: 0 };
  const lines: LedgerLine[] = [{ tenant, subscription: '', accepted, ...none, sinceMs: 0 }];
  for (const one of mesh.subscriptions(tenant)) {
    const { delivered, filtered, expired, deadLettered, dropped, held } = one.status();
    const counts = { delivered, filtered, expired, deadLettered, dropped, held, sinceMs: 0 };
    lines.push({ tenant, subscription: one.spec.name, accepted: 0, ...counts });
  }
  return lines;
}

function finding(one: MemorySubscription): LedgerFinding {
  const { considered, delivered, filtered, expired, deadLettered, dropped, held } = one.status();
  const counted = delivered + filtered + expired + deadLettered + dropped + held;
  return {
    tenant: one.spec.tenant,
    subscription: one.spec.name,
    check: 'outcomes',
    expected: considered,
    counted,
    verdict: considered === counted ? 'ok' : 'difference',
    detail: 'considered = the sum of the outcomes',
  };
}

function answer(site: string, one: MemorySubscription, record: MemoryRecord): WhyAnswer {
  const wanted = one.spec.topicFilters.some((filter) => topicMatches(filter, record.topic));
  const [state, reason]: [WhyState, string] = wanted
    ? one.status().held > 0
      ? ['ready', 'waits for a consumer with credit']
      : ['settled', 'settled; how is not remembered']
    : ['filtered', `no topic filter matches "${record.topic}"`];
  return {
    ...placeOf(site, record),
    subject: one.spec.name,
    state,
    reason,
    attempts: 0,
    consumer: '',
    timeUs: 0,
    nextMs: 0,
    policyRevision: 0,
    policyRevisionNow: 0,
    grantsRevision: 0,
    grantsRevisionNow: 0,
    grantsRevisionJudged: 0,
  };
}
