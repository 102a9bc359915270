import type { EmesherBooks } from '../inspect/local-books.ts';
import type { Located, Standing } from '../inspect/memory.ts';

/** Steps, and standings, of one answer to another emesher: below 4 MiB in all. */
const LOCATED_MAX = 4000;
/** Books of one answer. */
const RUNNING_MAX = 10_000;
/** Kept of the reason of a failure. */
const REASON_CHARACTERS_MAX = 256;

/** As much of it as fits an answer, and whether there was more. */
export function limitLocated({ steps, standings, links, more }: Located): Located {
  return {
    steps: steps.slice(0, LOCATED_MAX),
    standings: standings.slice(0, LOCATED_MAX).map(shortened),
    links,
    more: more || steps.length > LOCATED_MAX || standings.length > LOCATED_MAX,
  };
}

/** The same for books. */
export const limitBooks = (books: EmesherBooks): EmesherBooks => ({
  ...books,
  running: books.running.slice(0, RUNNING_MAX),
  more: books.more || books.running.length > RUNNING_MAX,
});

function shortened(standing: Standing): Standing {
  const { place } = standing;
  if (place.kind !== 'held') return standing;
  return { ...standing, place: { ...place, reason: place.reason.slice(0, REASON_CHARACTERS_MAX) } };
}
