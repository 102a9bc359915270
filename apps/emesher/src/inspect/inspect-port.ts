import type { InspectPort, LedgerLine, Session } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import { Action } from '@eventmesh/proto-gen/acl';
import type { EventStore } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { Runners } from '../deliver/runners.ts';
import type { Logs } from '../logs.ts';
import type { SiteBooks } from '../peer/site-books.ts';
import { callerOf, denied, type CallerSession } from '../session.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import { checkBooks } from './read-books.ts';
import { storeView } from './store-view.ts';
import type { Tracer } from './tracer.ts';
import type { Why } from './why/why.ts';

export interface InspectDeps {
  readonly directory: Directory;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly runners: Runners;
  readonly books: Pick<SiteBooks, 'of'>;
  readonly logs: Logs;
  readonly store: EventStore;
  readonly tracer: Tracer;
  readonly why: Why;
  readonly policies: GovernanceView;
  readonly site: string;
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
      // What a broadcast has done its parts have done.
      const mine = [...deps.directory.subscriptions.values()].filter(
        ({ tenant: of, ephemeral, mode, deliveryClass }) =>
          of === tenant && !ephemeral && (mode !== 'broadcast' || deliveryClass === 'direct'),
      );
      const books = await deps.books.of(mine);
      const lines = books.map((status, index): LedgerLine => ({
        tenant,
        subscription: mine[index]?.name ?? '',
        accepted: status.considered,
        delivered: status.delivered,
        filtered: status.filtered,
        expired: status.expired,
        deadLettered: status.deadLettered,
        dropped: status.dropped,
        held: status.held,
        sinceMs: 0,
      }));
      return [deps.ledger.tenantLine(tenant), ...lines];
    },

    async checkLedger(session) {
      return checkBooks(deps, inspector(session, 'ledger').principal.tenant);
    },

    async why(session, query) {
      return deps.why.report(inspector(session, 'why').principal.tenant, query);
    },

    async store(session) {
      const { tenant } = inspector(session, 'store').principal;
      return storeView(deps.store, deps.policies, deps.site, tenant);
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
