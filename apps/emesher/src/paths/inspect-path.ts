import { ownerGrantsAt, ownerSession } from '../deliver/owner-session.ts';
import { createInspection } from '../inspect/inspection.ts';
import { LocalBooks } from '../inspect/local-books.ts';
import { LocalMemory } from '../inspect/local-memory.ts';
import type { Links } from '../link/links.ts';
import { SiteMemory } from '../peer/site-memory.ts';
import type { deliverPath } from './deliver-path.ts';
import type { Base } from './foundation.ts';

/** Looking without touching: what this emesher remembers, what the site does, and the answers. */
export function inspectPath(
  base: Base,
  {
    runners,
    books,
    links,
  }: Pick<ReturnType<typeof deliverPath>, 'runners' | 'books'> & { readonly links: Links },
) {
  const { site, member, dataPlane } = base.options;
  const { store, log: logger, policies, authorizer } = base.deps;
  const looking = {
    ...base,
    site,
    member,
    store,
    runners,
    logger,
    neighbours: [...links.clients.keys()],
    linkPlace: links.place.bind(links),
  };
  const local = { localMemory: new LocalMemory(looking), localBooks: new LocalBooks(looking) };
  const memory = new SiteMemory({ ...looking, ...local });
  const inspection = createInspection({
    ...looking,
    books,
    policies,
    links: links.clients,
    inquire: memory.inquire.bind(memory),
    siteBooks: memory.books.bind(memory),
    ownerSession: ownerSession(authorizer),
    ownerGrantsAt: ownerGrantsAt(authorizer),
    scanMax: dataPlane.trace.scanMax,
    now: Date.now,
  });
  return { inspection, ...local };
}
