import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PolicyService, WatchPolicyResponseSchema } from '@eventmesh/proto-gen/governance';
import type { ServiceImpl } from '@eventmesh/rpc';
import type { Metrics } from '@eventmesh/telemetry';
import type { AuditLog } from './audit-log.ts';
import { GOVERNANCE_METRICS, type GovernanceMetrics } from './metrics.ts';
import type { PolicyState, VersionChanges } from './policy-state.ts';

type Told = MessageInitShape<typeof WatchPolicyResponseSchema>;

export interface PolicyServiceParts {
  readonly state: PolicyState;
  readonly audit: AuditLog;
  readonly metrics: GovernanceMetrics;
  readonly measure: Metrics['measure'];
}

/** The wire side for the mesh's own services. */
export function policyService(parts: PolicyServiceParts): ServiceImpl<typeof PolicyService> {
  const { state, audit, metrics, measure } = parts;
  return {
    async *watchPolicy({ afterRevision }, ctx) {
      state.checkLoaded();
      metrics.watchers.inc();
      let at = Number(afterRevision);
      const stop = measure(GOVERNANCE_METRICS.watchBehind, () => state.behind(at));
      try {
        const since = at === 0 ? undefined : state.changesAfter(at);
        // Nothing to tell still tells the watcher that it is up to date.
        if (since?.length === 0) yield { revision: BigInt(state.version) };
        while (!ctx.signal.aborted && !ctx.draining.aborted) {
          const changes = at === 0 ? undefined : state.changesAfter(at);
          const version = state.version;
          if (changes === undefined) {
            yield {
              revision: BigInt(version),
              change: { case: 'snapshot', value: state.snapshot() },
            };
          } else {
            yield* tell(changes, at);
          }
          // An empty store has version 0, which asks for a snapshot each time it is tried.
          at = version;
          if (state.version === version) {
            await state.changed(AbortSignal.any([ctx.signal, ctx.draining]));
          }
        }
      } finally {
        metrics.watchers.dec();
        stop();
      }
    },

    async appendAudit({ entries }) {
      await audit.append(entries);
      return {};
    },
  };
}

/**
 * The changes one by one. A version counts as told with its last change only: a watcher that is cut
 * off in the middle of one asks for the whole of it again.
 */
function* tell(versions: readonly VersionChanges[], from: number): Generator<Told> {
  let told = from;
  for (const { version, changes } of versions) {
    for (const [index, change] of changes.entries()) {
      const last = index === changes.length - 1;
      yield { revision: BigInt(last ? version : told), change };
    }
    if (changes.length === 0) yield { revision: BigInt(version) };
    told = version;
  }
}
