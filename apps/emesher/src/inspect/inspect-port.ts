import type { InspectPort, LedgerLine, Session } from '@eventmesh/adapter-api';
import type { GovernanceView } from '@eventmesh/clients';
import { Action } from '@eventmesh/proto-gen/acl';
import type { EventStore } from '@eventmesh/store-api';
import type { Directory } from '../control/directory.ts';
import type { LostRanges } from '../link/lost-ranges.ts';
import type { SiteBooks } from '../peer/site-books.ts';
import { callerOf, denied, type CallerSession } from '../session.ts';
import type { Ledger } from './ledger.ts';
import { lostFindings } from './lost-findings.ts';
import type { Inspector } from './memory.ts';
import { checkBooks, type BooksDeps } from './read-books.ts';
import { storeView } from './store-view.ts';
import type { Tracer } from './tracer.ts';
import type { Why } from './why/why.ts';

export interface InspectDeps extends BooksDeps {
  readonly directory: Directory;
  readonly ledger: Ledger;
  readonly books: Pick<SiteBooks, 'of'>;
  readonly store: EventStore;
  readonly tracer: Tracer;
  readonly why: Why;
  readonly policies: GovernanceView;
  readonly site: string;
  readonly lost: Pick<LostRanges, 'of'>;
}

/** Looking without touching, for whoever has the right to `inspect`. */
export function createInspectPort(deps: InspectDeps): InspectPort {
  return {
    async trace(session, eventId, source) {
      return deps.tracer.trace(inspector(session, 'trace'), eventId, source);
    },

    async sites(session) {
      const { tenant } = allowed(session, 'sites').principal;
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
        lost: await deps.lost.of(tenant),
      };
    },

    async ledger(session) {
      const { tenant } = inspector(session, 'ledger');
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
        // Those of the direct class are kept in memory.
        sinceMs: mine[index]?.deliveryClass === 'direct' ? deps.ledger.sinceMs : 0,
      }));
      return [deps.ledger.tenantLine(tenant), ...lines];
    },

    async checkLedger(session) {
      const asks = inspector(session, 'ledger');
      const { tenant } = asks;
      const lost = lostFindings(tenant, await deps.lost.of(tenant));
      return [...(await checkBooks(deps, asks)), ...lost];
    },

    async why(session, query) {
      return deps.why.report(inspector(session, 'why'), query);
    },

    async store(session) {
      const { tenant } = allowed(session, 'store').principal;
      return storeView(deps.store, deps.policies, deps.site, tenant);
    },

    async topics(session) {
      const caller = allowed(session, 'topics');
      return deps.ledger.topics(caller.principal.tenant);
    },
  };
}

/** Who asks for what the other emeshers of the site are asked for, too. */
function inspector(session: Session, resource: Inspector['resource']): Inspector {
  const caller = allowed(session, resource);
  return { tenant: caller.principal.tenant, caller, resource };
}

function allowed(session: Session, what: string): CallerSession {
  const caller = callerOf(session);
  if (!caller.grants.can(Action.INSPECT, what)) throw denied('inspect', what);
  return caller;
}
