import { ownerGrantsAt, ownerSession } from '../deliver/owner-session.ts';
import type { Runners } from '../deliver/runners.ts';
import { createInspection } from '../inspect/inspection.ts';
import { LocalBooks } from '../inspect/local-books.ts';
import { LocalMemory } from '../inspect/local-memory.ts';
import type { Links } from '../link/links.ts';
import type { SiteBooks } from '../peer/site-books.ts';
import { SiteMemory } from '../peer/site-memory.ts';
import type { Base } from './foundation.ts';

interface InspectParts {
  readonly runners: Runners;
  readonly books: SiteBooks;
  readonly links: Links;
}

/** Looking without touching: what this emesher remembers, what the site does, and the answers. */
export function inspectPath(
  { options, deps, logs, lost, directory, peers, ledger, journal, refusals }: Base,
  { runners, books, links }: InspectParts,
) {
  const { site, member, dataPlane } = options;
  const { store, log: logger, policies, authorizer } = deps;
  const localMemory = new LocalMemory({
    journal,
    refusals,
    runners,
    store,
    logs,
    neighbours: [...links.clients.keys()],
    linkPlace: links.place.bind(links),
  });
  const localBooks = new LocalBooks({ member, directory, journal, runners, logs });
  const memory = new SiteMemory({
    site,
    member,
    directory,
    peers,
    logger,
    localMemory,
    localBooks,
  });
  const inspection = createInspection({
    site,
    store,
    logs,
    directory,
    ledger,
    lost,
    books,
    policies,
    links: links.clients,
    logger,
    inquire: memory.inquire.bind(memory),
    siteBooks: memory.books.bind(memory),
    ownerSession: ownerSession(authorizer),
    ownerGrantsAt: ownerGrantsAt(authorizer),
    scanMax: dataPlane.trace.scanMax,
    now: Date.now,
  });
  return { inspection, localMemory, localBooks };
}
