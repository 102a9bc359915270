import { CLIENT_METRICS, createAuditSpool, createAuthorizer } from '@eventmesh/clients';
import type { Secret } from '@eventmesh/config';
import { prefixed, systemClock, type Clock, type Kv } from '@eventmesh/kv-api';
import { awayLog, bearerGuard } from '@eventmesh/lifecycle';
import type { AclService } from '@eventmesh/proto-gen/acl';
import { GovernanceService, PolicyService } from '@eventmesh/proto-gen/governance';
import { Router, createClient, localTransport, type Client } from '@eventmesh/rpc';
import type { Logger, Metrics } from '@eventmesh/telemetry';
import { sessionGuard } from './administration.ts';
import { AuditLog, type AuditLogOptions, type StoreSource } from './audit-log.ts';
import { applyBootstrap, readBootstrap } from './bootstrap.ts';
import type { GovernanceSettings } from './config.ts';
import { governanceService } from './governance-service.ts';
import { GOVERNANCE_METRICS, type GovernanceMetrics } from './metrics.ts';
import { policyService } from './policy-service.ts';
import { PolicyState } from './policy-state.ts';

export interface GovernanceDeps {
  /** Closed by whoever opened it, after `drain`. */
  readonly kv: Kv;
  /** Holds the audit. One that is opened here is also closed here. */
  readonly store: StoreSource;
  /** Tells who callers are. */
  readonly acl: Client<typeof AclService>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
  /** Named in the audit. Default `governance`. */
  readonly member?: string;
}

export type GovernanceAppConfig = GovernanceSettings & {
  readonly serviceToken?: Secret | undefined;
};

export interface GovernanceApp {
  readonly router: Router;
  /** Loads the policy, then the bootstrap file into an empty store. */
  start(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
}

/** Composes the service. @throws ConfigError; nothing has been opened then. */
export function createGovernanceApp(
  config: GovernanceAppConfig,
  deps: GovernanceDeps,
): GovernanceApp {
  const { log, kv } = deps;
  const clock = deps.clock ?? systemClock;
  const now = () => clock.now();
  const member = deps.member ?? 'governance';
  const metrics = deps.metrics.use(GOVERNANCE_METRICS);
  const { file, apply } = config.bootstrap;
  const bootstrap = file === undefined ? undefined : readBootstrap(file);

  const measure: Metrics['measure'] = (queue, fill) => deps.metrics.measure(queue, fill);
  const state = new PolicyState(kv, {
    clock,
    historyMax: config.watch.historyMax,
    onError: (err, key) => {
      metrics.storeErrors.inc();
      log.warn({ err, key }, 'the control state is away or has an entry that is malformed');
    },
  });
  const { waitingMax, spoolMax: entriesMax } = config.audit;
  const audit = new AuditLog(deps.store, prefixed(kv, 'audit/'), {
    waitingMax,
    ...auditObserver(metrics, log),
  });

  const token = config.serviceToken;
  const router = new Router().service(
    PolicyService,
    policyService({ state, audit, metrics, measure }),
    bearerGuard(token),
  );
  // Its own refusals take the way that everybody's do: folded, spooled, sent again.
  const own = localTransport(
    router,
    token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
  );
  const spool = createAuditSpool(createClient(PolicyService, own), { member, now, entriesMax });
  measure(GOVERNANCE_METRICS.auditWaiting, () => audit.waiting);
  measure(CLIENT_METRICS.auditSpool, () => spool.size);
  const authorizer = createAuthorizer(deps.acl, {
    now,
    onError: awayLog(log, 'the acl service is away'),
  });
  router.service(
    GovernanceService,
    governanceService({
      state,
      audit,
      note: spool.append,
      authorizer,
      now,
      member,
      operatorTenant: config.operatorTenant,
    }),
    sessionGuard(authorizer),
  );

  const stopping = new AbortController();
  let counting: Promise<void> | undefined;
  return {
    router,
    async start() {
      await state.start();
      const marks = prefixed(kv, 'governance-start/');
      if (bootstrap !== undefined && (await applyBootstrap(state, marks, bootstrap, apply))) {
        log.info({ file, revision: state.version }, 'the bootstrap file was applied');
      }
      await audit.start();
      counting = (async () => {
        while (!stopping.signal.aborted) {
          metrics.revision.set(state.version);
          await state.changed(stopping.signal);
        }
      })();
    },
    async drain(deadlineMs) {
      stopping.abort();
      await authorizer.close();
      await spool.close(deadlineMs / 2);
      own.close();
      await counting;
      await audit.close();
      await state.close();
    },
  };
}

function auditObserver(
  metrics: GovernanceMetrics,
  log: Logger,
): Pick<AuditLogOptions, 'onAppended' | 'onError'> {
  return {
    onAppended: (entries, last) => {
      metrics.audited.inc(entries);
      metrics.auditSequence.set(last);
    },
    onError: (err) => {
      metrics.auditErrors.inc();
      log.warn({ err }, 'the audit cannot be stored now; entries wait where they come from');
    },
  };
}
