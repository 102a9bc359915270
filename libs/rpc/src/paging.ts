import { MeshError, invalid } from '@eventmesh/errors';

/** Entries of a page when the caller names no size. */
export const PAGE_SIZE_DEFAULT = 100;

/** Most entries of a page; a greater size counts as this one. */
export const PAGE_SIZE_MAX = 1000;

/** Bytes at which a page ends, a quarter of the largest message. A single entry may have more. */
export const PAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Longest token: the longest key of a store, and the name of the list. */
const TOKEN_CHARS_MAX = 4096;

/** What a caller says about the page it wants; proto leaves both empty. */
export interface PageRequest {
  /** 0: the default. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

/** How a list is cut into pages. */
export interface Listing<T> {
  /**
   * What is listed, with all that selects its entries, such as `users of default`. A token goes on
   * with this list and no other.
   */
  readonly scope: string;
  /** Tells entries apart and orders them; never changes while the entry is there. */
  readonly keyOf: (entry: T) => string;
  /** What the entry takes in the answer. */
  readonly bytesOf: (entry: T) => number;
}

export interface Page<T> {
  readonly entries: T[];
  /** Empty after the last page. */
  readonly nextPageToken: string;
}

export const pageSizeOf = (pageSize: number): number =>
  pageSize === 0 ? PAGE_SIZE_DEFAULT : Math.min(pageSize, PAGE_SIZE_MAX);

/** Names the last entry that was told, so that the next page begins behind it whatever has changed. */
export const writePageToken = (scope: string, lastKey: string): string =>
  Buffer.from(`${scope}\n${lastKey}`).toString('base64url');

/**
 * The key behind which the page begins; undefined for the first page.
 *
 * @param field Its name, as the caller spells it.
 * @throws MeshError InvalidArgument for a token that is none, or is of another list.
 */
export function readPageToken(
  scope: string,
  token: string,
  field = 'page_token',
): string | undefined {
  if (token === '') return undefined;
  const start = `${scope}\n`;
  const text = token.length > TOKEN_CHARS_MAX ? '' : Buffer.from(token, 'base64url').toString();
  const key = text.slice(start.length);
  if (text.startsWith(start) && writePageToken(scope, key) === token) return key;
  throw invalid(field, 'is not one that this list gave; begin again without it', {
    reason: 'PAGE_TOKEN',
  });
}

/** The next entries of a list, of which `entries` are those behind the last page, in order. */
export function pageOf<T>(entries: Iterable<T>, size: number, listing: Listing<T>): Page<T> {
  const page: T[] = [];
  let bytes = 0;
  for (const entry of entries) {
    bytes += page.length < size ? listing.bytesOf(entry) : 0;
    const full = page.length >= size || bytes > PAGE_BYTES_MAX;
    const last = page.at(-1);
    if (full && last !== undefined) {
      return { entries: page, nextPageToken: writePageToken(listing.scope, listing.keyOf(last)) };
    }
    page.push(entry);
  }
  return { entries: page, nextPageToken: '' };
}

/**
 * A page of a list that is in memory as a whole.
 *
 * @param sorted All entries, ascending by key.
 */
export function pageOfSorted<T>(
  sorted: readonly T[],
  request: PageRequest,
  listing: Listing<T>,
): Page<T> {
  const after = readPageToken(listing.scope, request.pageToken);
  const from = after === undefined ? 0 : firstBehind(sorted, after, listing.keyOf);
  return pageOf(rest(sorted, from), pageSizeOf(request.pageSize), listing);
}

function firstBehind<T>(sorted: readonly T[], after: string, keyOf: (entry: T) => string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = sorted[middle];
    if (entry !== undefined && keyOf(entry) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* rest<T>(entries: readonly T[], from: number): Generator<T> {
  for (let at = from; at < entries.length; at++) yield entries[at] as T;
}

/** Every entry of a list, page after page. What is asked of the server ends with the loop. */
export async function* everyEntry<T>(
  ask: (pageToken: string) => Promise<{
    readonly entries: readonly T[];
    readonly nextPageToken: string;
  }>,
): AsyncGenerator<T> {
  for (let pageToken = '', more = true; more;) {
    const { entries, nextPageToken } = await ask(pageToken);
    yield* entries;
    if (nextPageToken !== '' && nextPageToken === pageToken) {
      throw new MeshError('Internal', 'next_page_token: the list gives the same page for ever', {
        field: 'next_page_token',
      });
    }
    pageToken = nextPageToken;
    more = pageToken !== '';
  }
}
