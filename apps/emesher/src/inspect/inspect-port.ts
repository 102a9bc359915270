import type { InspectPort, LedgerLine, Session } from '@eventmesh/adapter-api';
import { Action } from '@eventmesh/proto-gen/acl';
import type { EventStore } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Runners } from '../deliver/runners.ts';
import { subscriptionStatus } from '../deliver/status.ts';
import type { Logs } from '../logs.ts';
import { callerOf, denied, type CallerSession } from '../session.ts';
import type { Ledger } from './ledger.ts';
import type { Tracer } from './tracer.ts';

export interface InspectDeps {
  readonly directory: Directory;
  readonly ledger: Ledger;
  readonly runners: Runners;
  readonly logs: Logs;
  readonly store: EventStore;
  readonly tracer: Tracer;
}

/** Looking without touching, for whoever has the right to `inspect`. */
export function createInspectPort(deps: InspectDeps): InspectPort {
  return {
    async trace(session, eventId, source) {
      const caller = inspector(session, 'trace');
      return deps.tracer.trace(caller.principal.tenant, eventId, source);
    },

    async sites(session) {
      const { tenant } = inspector(session, 'sites').principal;
      const topology = await deps.directory.topology();
      return {
        site: topology.site,
        sites: topology.sites.map(({ site, links, interest, httpAddress }) => ({
          site,
          httpAddress,
          links: links.map(({ toSite, cost, up }) => ({ to: toSite, cost, up })),
          interest: interest
            .filter((each) => each.tenant === tenant)
            .map(({ topicFilter }) => ({ tenant, topicFilter })),
        })),
        routes: topology.routes.map(({ destination, nextHop, cost }) => ({
          destination,
          nextHop,
          cost,
        })),
      };
    },

    async ledger(session) {
      const { tenant } = inspector(session, 'ledger').principal;
      const mine = [...deps.directory.subscriptions.values()].filter(
        (subscription) => subscription.tenant === tenant && !subscription.ephemeral,
      );
      const lines = mine.map(async (subscription): Promise<LedgerLine> => {
        const status = await subscriptionStatus(deps, subscription);
        return {
          tenant,
          subscription: subscription.name,
          accepted: status.considered,
          delivered: status.delivered,
          filtered: status.filtered,
          expired: status.expired,
          deadLettered: status.deadLettered,
          dropped: status.dropped,
          held: status.held,
        };
      });
      return [deps.ledger.tenantLine(tenant), ...(await Promise.all(lines))];
    },

    async topics(session) {
      const caller = inspector(session, 'topics');
      return deps.ledger.topics(caller.principal.tenant);
    },
  };
}

function inspector(session: Session, what: string): CallerSession {
  const caller = callerOf(session);
  if (!caller.grants.can(Action.INSPECT, what)) throw denied('inspect', what);
  return caller;
}
