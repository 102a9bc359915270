import { filterCovers, filtersIntersect } from '@eventmesh/event';

/*
 * A topic becomes a NATS subject (`writeSubject`): `/` separates levels, `.` tokens. What a token cannot hold is
 * percent-encoded (UTF-8), and so is `%`; an empty level is a lone `%`, which no encoding yields.
 * The mapping is reversible; everything else, non-ASCII included, stays readable.
 */
const UNSAFE = /[%.*> \u0000-\u001f\u007f]/g;

const escapeLevel = (level: string): string =>
  level === '' ? '%' : level.replace(UNSAFE, (char) => `%${hex(char.charCodeAt(0))}`);

const hex = (code: number): string => code.toString(16).toUpperCase().padStart(2, '0');

/** Most filters that are worth giving to the server; beyond it everything is read. */
const FILTERS_MAX = 64;

/**
 * The subjects under a base that topic filters select, or none when the server cannot be asked:
 * its filters must not overlap. MQTT's `a/#` matches `a` too, NATS's `a.>` does not, hence two.
 */
export function filterSubjects(base: string, filters: readonly string[]): string[] {
  const wanted = filters.filter(
    (filter, index) =>
      !filters.some(
        (other, at) =>
          at !== index &&
          filterCovers(other, filter) &&
          (at < index || !filterCovers(filter, other)),
      ),
  );
  if (wanted.length === 0 || wanted.length > FILTERS_MAX) return [];
  const overlap = wanted.some((filter, index) =>
    wanted.slice(index + 1).some((other) => filtersIntersect(filter, other)),
  );
  if (overlap || wanted.includes('#')) return [];
  // Below the base comes the tenant, any tenant.
  return wanted.flatMap((filter) => filterToSubjects(filter)).map((tail) => `${base}.*.${tail}`);
}

function filterToSubjects(filter: string): string[] {
  const levels = filter.split('/');
  const rest = levels.at(-1) === '#';
  const tokens = (rest ? levels.slice(0, -1) : levels).map((level) =>
    level === '+' ? '*' : escapeLevel(level),
  );
  const exact = tokens.join('.');
  return rest ? [exact, `${exact}.>`] : [exact];
}

/** Letters and digits of log names and `-`, `_` may be in names of streams; a dot may not. */
export const logToken = (log: string): string => log.replaceAll('.', '=');
