import { invalid } from '@eventmesh/errors';
import type { Principal } from '@eventmesh/proto-gen/acl';
import type { PeerService } from '@eventmesh/proto-gen/peer';
import type { ServiceImpl } from '@eventmesh/rpc';
import type { LocalBooks } from '../inspect/local-books.ts';
import type { LocalMemory } from '../inspect/local-memory.ts';
import { PLACES_MAX } from '../inspect/memory.ts';
import type { CallerSession } from '../session.ts';
import { limitBooks, limitLocated } from './answer-limits.ts';
import { booksToWire } from './books-wire.ts';
import { inspectorFromWire } from './inspector-wire.ts';
import { locatedToWire, placeFromWire, recalledToWire } from './memory-wire.ts';

export interface InspectServiceDeps {
  /** This emesher's own id. */
  readonly member: string;
  readonly sessionOf: (principal: Principal) => Promise<CallerSession>;
  readonly localMemory: LocalMemory;
  readonly localBooks: LocalBooks;
}

type Served = ServiceImpl<typeof PeerService>;

/** Tells the other emeshers of the site what this one remembers, to whoever may look. */
export function inspectCalls({
  member,
  sessionOf,
  localMemory,
  localBooks,
}: InspectServiceDeps): Pick<Served, 'recallEvent' | 'locateEvent' | 'readBooks'> {
  return {
    async recallEvent({ inspector, eventId, source }) {
      const { tenant } = await inspectorFromWire(inspector, sessionOf);
      const only = source === '' ? undefined : source;
      return { ...recalledToWire(localMemory.recall(tenant, eventId, only)), member };
    },
    async locateEvent({ inspector, places, stepsOnly, subscription }) {
      if (places.length > PLACES_MAX) {
        throw invalid('places', `there are ${places.length}`, { limit: `at most ${PLACES_MAX}` });
      }
      const { tenant } = await inspectorFromWire(inspector, sessionOf);
      const only = subscription === '' ? undefined : subscription;
      const scope = { stepsOnly, subscription: only };
      const located = await localMemory.locate(tenant, places.map(placeFromWire), scope);
      return { ...locatedToWire(limitLocated(located)), member };
    },
    async readBooks({ inspector }) {
      const { tenant } = await inspectorFromWire(inspector, sessionOf);
      return { ...booksToWire(limitBooks(await localBooks.read(tenant))), member };
    },
  };
}
