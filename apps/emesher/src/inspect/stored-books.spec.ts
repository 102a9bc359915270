import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Journal } from './journal.ts';
import type { TopicCount } from './ledger.ts';
import { StoredBooks } from './stored-books.ts';

const event = (id: string) => ({ id, source: '/s' });
const topicCount = (events = 0): TopicCount => ({ topic: 'a', events, lastTimeMs: 0 });
const PLACE = { tenant: 't', partition: 3, timeMs: 1000 };

describe('what an append has stored', () => {
  it('counts for its topics, and is found where it lies', () => {
    const journal = new Journal(10);
    const [one, other] = [topicCount(5), topicCount()];
    const books = new StoredBooks(journal, PLACE, { positions: [7, 8, 9], duplicates: [] });
    books.enter(0, one, event('x'));
    books.enter(1, other, event('y'));
    books.enter(2, one, event('z'));
    expect([one, other]).toEqual([
      { topic: 'a', events: 7, lastTimeMs: 1000 },
      { topic: 'a', events: 1, lastTimeMs: 1000 },
    ]);
    const found = ['x', 'y', 'z'].map((id) => journal.find('t', id));
    expect(found).toEqual([7, 8, 9].map((position) => [{ partition: 3, position }]));
    expect([books.fresh, books.duplicates, journal.receipts('t')]).toEqual([3, 0, 3]);
  });

  it('does not have what was stored before, which has a place as long as that is known', () => {
    const receipt = { positions: [4, 9, 0], duplicates: [0, 2] };
    const books = new StoredBooks(new Journal(0), PLACE, receipt);
    expect([0, 1, 2].map((index) => books.isDuplicate(index))).toEqual([true, false, true]);
    expect([0, 1, 2].map((index) => books.position(index))).toEqual([4, 9, 0]);
    expect([books.fresh, books.duplicates]).toEqual([1, 2]);
  });

  it('is in the books once, however often it is appended', () => {
    const ids = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 6 });
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 8 }), (appends) => {
        const journal = new Journal(100);
        const log: string[] = [];
        const topic = topicCount();
        let fresh = 0;
        for (const append of appends) {
          const duplicates: number[] = [];
          const positions = append.map((id, index) => {
            if (log.includes(id)) duplicates.push(index);
            else log.push(id);
            return log.indexOf(id) + 1;
          });
          const books = new StoredBooks(journal, PLACE, { positions, duplicates });
          for (const [index, id] of append.entries()) {
            if (!books.isDuplicate(index)) books.enter(index, topic, event(id));
          }
          fresh += books.fresh;
        }
        expect([topic.events, journal.receipts('t'), fresh]).toEqual(Array(3).fill(log.length));
        for (const [index, id] of log.entries()) {
          expect(journal.find('t', id)).toEqual([{ partition: 3, position: index + 1 }]);
        }
      }),
    );
  });
});
