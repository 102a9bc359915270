import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MeshError } from '@eventmesh/errors';
import {
  PAGE_BYTES_MAX,
  everyEntry,
  pageOf,
  pageOfSorted,
  pageSizeOf,
  readPageToken,
  writePageToken,
  type Listing,
  type Page,
} from './paging.ts';

interface Entry {
  readonly key: string;
  readonly bytes: number;
}

const LIST: Listing<Entry> = {
  scope: 'entries of default',
  keyOf: ({ key }) => key,
  bytesOf: ({ bytes }) => bytes,
};
const entry = (key: string, bytes = 1): Entry => ({ key, bytes });
const sorted = (keys: Iterable<string>): Entry[] => [...keys].sort().map((key) => entry(key));

function refusal(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

describe('the size of a page', () => {
  it.each([
    [0, 100],
    [1, 1],
    [1000, 1000],
    [1001, 1000],
    [4_294_967_295, 1000],
  ])('of %d asked is %d', (asked, size) => {
    expect(pageSizeOf(asked)).toBe(size);
  });

  it('is bounded by bytes, but for a single entry', () => {
    const half = PAGE_BYTES_MAX / 2;
    const all = [entry('a', half), entry('b', half), entry('c', 1), entry('d', half * 3)];
    const pages: string[] = [];
    for (let pageToken = '', more = true; more; more = pageToken !== '') {
      const page = pageOfSorted(all, { pageSize: 0, pageToken }, LIST);
      pages.push(page.entries.map(({ key }) => key).join(''));
      pageToken = page.nextPageToken;
    }
    expect(pages).toEqual(['ab', 'c', 'd']);
  });

  it('leaves no empty page behind a full one', () => {
    const { nextPageToken } = pageOf(sorted(['a', 'b']), 2, LIST);
    expect(nextPageToken).toBe('');
  });
});

describe('a page token', () => {
  it.each([
    ['no token at all', 'hello'],
    ['one of another list', writePageToken('users of default', 'a')],
    ['one of a list whose name goes on', writePageToken('entries of default2', 'a')],
    ['one with something behind it', `${writePageToken(LIST.scope, 'a')}=`],
    ['one that is too long', writePageToken(LIST.scope, 'a'.repeat(4096))],
  ])('is refused when it is %s', (_, pageToken) => {
    const error = refusal(() => pageOfSorted([], { pageSize: 0, pageToken }, LIST));
    expect(error).toMatchObject({
      code: 'InvalidArgument',
      details: { field: 'page_token', reason: 'PAGE_TOKEN' },
    });
  });

  it('gives back any key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 64 }), (key) => {
        expect(readPageToken(LIST.scope, writePageToken(LIST.scope, key))).toBe(key);
      }),
    );
  });
});

/** What happens between two pages. */
const change = fc.record({ put: fc.boolean(), key: fc.integer({ min: 0, max: 99 }) });
const named = (key: number): string => `k${String(key).padStart(2, '0')}`;

describe('a list', () => {
  it('has each entry that stays once, in order, whatever comes and goes meanwhile', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { maxLength: 60 }),
        fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        (begin, changes, pageSize) => {
          const there = new Set(begin.map(named));
          const always = new Set(there);
          const listed: string[] = [];
          let page: Page<Entry> = { entries: [], nextPageToken: '' };
          let turn = 0;
          do {
            page = pageOfSorted(sorted(there), { pageSize, pageToken: page.nextPageToken }, LIST);
            listed.push(...page.entries.map(({ key }) => key));
            for (const { put, key } of changes[turn++] ?? []) {
              if (put) there.add(named(key));
              else {
                there.delete(named(key));
                always.delete(named(key));
              }
            }
          } while (page.nextPageToken !== '');
          expect(listed).toEqual([...new Set(listed)].sort());
          expect(listed).toEqual(expect.arrayContaining([...always]));
        },
      ),
    );
  });

  it('is followed to its end by itself', async () => {
    const all = sorted(Array.from({ length: 25 }, (_, at) => named(at)));
    let asked = 0;
    const found: string[] = [];
    const ask = async (pageToken: string) => {
      asked++;
      return pageOfSorted(all, { pageSize: 10, pageToken }, LIST);
    };
    for await (const { key } of everyEntry(ask)) found.push(key);
    expect([asked, found]).toEqual([3, all.map(({ key }) => key)]);
  });

  it('is not followed in a circle', async () => {
    const ask = () => Promise.resolve({ entries: [], nextPageToken: 'same' });
    const following = everyEntry(ask).next();
    await expect(following).rejects.toBeInstanceOf(MeshError);
  });
});
