import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Metrics } from '@eventmesh/telemetry';
import { emesherMetrics } from '../metrics.ts';
import { LinkBooks } from './link-books.ts';

const booksOf = () => {
  const metrics = new Metrics();
  const books = new LinkBooks('east', metrics.use(emesherMetrics));
  const read = async (name: string) => metrics.value(`eventmesh_link_${name}`, { to: 'east' });
  return { books, read };
};

describe('the books of a link', () => {
  it('count what is read again after a break once', async () => {
    const { books, read } = booksOf();
    const lane = books.lane('t', 0);
    for (const position of [1, 2, 3, 4]) lane.looked(position, position !== 2);
    lane.delivered(1);
    // The link breaks; the neighbour had 3, too, but its word was lost. Reading goes on from 3.
    lane.delivered(3);
    for (const position of [4, 5]) lane.looked(position, true);
    books.tell();
    expect(await read('taken_total')).toBe(4);
    expect(await read('filtered_total')).toBe(1);
    expect(await read('delivered_total')).toBe(2);
    expect(await read('held')).toBe(2);
  });

  it('give up what is gone from the store before the neighbour had it', async () => {
    const { books, read } = booksOf();
    const lane = books.lane('t', 0);
    for (const position of [1, 2, 3, 4]) lane.looked(position, true);
    lane.gone(2, 3);
    books.tell();
    expect(await read('expired_total')).toBe(2);
    expect(await read('held')).toBe(2);
  });

  it('hold nothing once another emesher has the link', async () => {
    const { books, read } = booksOf();
    books.lane('t', 0).looked(1, true);
    books.tell();
    expect(await read('held')).toBe(1);
    books.handOver();
    expect(await read('held')).toBe(0);
  });

  it('count what an earlier process has counted and the neighbour keeps no more, but what goes now', async () => {
    const { books, read } = booksOf();
    const lane = books.lane('t', 0);
    lane.started(2, 10);
    // One of them lies behind the neighbour by now, so that reading goes back to it.
    for (const position of [6, 7, 8, 9, 10, 11]) lane.looked(position, position === 6);
    books.tell();
    expect(await read('read_total')).toBe(6);
    expect(await read('filtered_total')).toBe(1);
    expect(await read('taken_total')).toBe(1);
    expect(await read('held')).toBe(1);
    expect(await read('unkept')).toBe(1);
    lane.kept(11);
    books.tell();
    expect(await read('unkept')).toBe(0);
  });

  it('add up: taken = delivered + expired + held, whatever the order and however often it breaks', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('look' as const), goes: fc.boolean() }),
      fc.record({
        kind: fc.constant('deliver' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.record({
        kind: fc.constant('expire' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.record({
        kind: fc.constant('break' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
        const { books, read } = booksOf();
        const lane = books.lane('t', 0);
        const going: boolean[] = [];
        let next = 1;
        let accepted = 0;
        for (const one of steps) {
          if (one.kind === 'look') {
            going[next] ??= one.goes;
            lane.looked(next, going[next] ?? false);
            next++;
          } else {
            const at = accepted + Math.floor((next - 1 - accepted) * one.part);
            if (one.kind === 'expire') lane.expired(at);
            else {
              lane.delivered(at);
              accepted = at;
            }
            if (one.kind === 'break') next = accepted + 1;
          }
        }
        books.tell();
        const looked = going.slice(1);
        expect(await read('taken_total')).toBe(looked.filter(Boolean).length);
        expect(await read('filtered_total')).toBe(looked.filter((goes) => !goes).length);
        const done = (await read('delivered_total')) + (await read('expired_total'));
        expect(await read('taken_total')).toBe(done + (await read('held')));
      }),
      { numRuns: 300 },
    );
  });
});
