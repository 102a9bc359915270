import type { StoreView } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import { DURABILITY_CLASSES, atLeast, type EventStore } from '@eventmesh/store-api';

/** The store as it is found now, with the logs of a tenant and what it is too weak for. */
export async function storeView(
  store: EventStore,
  policies: Pick<GovernanceView, 'topicPolicies'>,
  site: string,
  tenant: string,
): Promise<StoreView> {
  const [profile, logs] = await Promise.all([store.profile(), store.listLogs()]);
  const own = logs
    // `events.acme`, `dead.acme`: the kind has no dot, a tenant's name may have some.
    .filter(({ spec }) => spec.name.slice(spec.name.indexOf('.') + 1) === tenant)
    .sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  const demands = policies.topicPolicies(tenant).flatMap(({ topicFilter, durabilityMin }) => {
    const wanted = DURABILITY_CLASSES[durabilityMin - 1];
    if (wanted === undefined || atLeast(profile.durability, wanted)) return [];
    return [{ topicFilter, demands: wanted }];
  });
  return {
    site,
    store: profile.store,
    durability: profile.durability,
    evidence: profile.evidence,
    warnings: profile.warnings,
    recordBytesMax: profile.recordBytesMax,
    logs: own.map(({ spec, partitions }) => ({
      log: spec.name,
      retentionMs: spec.retentionMs,
      retentionBytes: spec.retentionBytes,
      partitions,
    })),
    refusedTopics: demands,
  };
}
