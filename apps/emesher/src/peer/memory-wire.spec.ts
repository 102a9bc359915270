import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import {
  LocateEventResponseSchema,
  ReadBooksResponseSchema,
  RecallEventResponseSchema,
} from '@eventmesh/proto-gen/peer';
import type { EmesherBooks } from '../inspect/local-books.ts';
import type { Located, Recalled } from '../inspect/memory.ts';
import type { Place } from '../inspect/why/facts.ts';
import { booksFromWire, booksToWire } from './books-wire.ts';
import { locatedFromWire, locatedToWire, recalledFromWire, recalledToWire } from './memory-wire.ts';

const at = { partition: 3, position: 2 ** 40 };

describe('what an emesher tells another one', () => {
  it('arrives as it was told: places and refusals', () => {
    const recalled: Recalled = {
      places: [at],
      refusals: [
        {
          tenant: 't',
          principal: 'ann',
          id: '1',
          source: '/s',
          topic: 'a/b',
          code: 'ResourceExhausted',
          reason: 'QUOTA',
          message: 'too much',
          timeUs: 1_795_671_304_565_056,
          policyRevision: 3,
          grantsRevision: 5,
        },
      ],
      more: true,
    };
    const sent = create(RecallEventResponseSchema, recalledToWire(recalled));
    const bytes = toBinary(RecallEventResponseSchema, sent);
    const got = recalledFromWire('t', fromBinary(RecallEventResponseSchema, bytes));
    expect(got).toEqual(recalled);
  });

  it('arrives as it was told: steps, links, and where an event stands', () => {
    const held = {
      kind: 'held',
      state: 'later',
      attempts: 3,
      failures: 2,
      reason: 'nope',
      consumer: 'c1',
      dueMs: 1_795_671_304_565,
      ahead: 4,
    } as const;
    const stuck = {
      topic: 'a/b',
      key: 'k',
      consumer: 'c1',
      heldMs: 4000,
      waiting: 90,
      parked: 80,
      failures: 2,
    };
    const places: Place[] = [
      held,
      { ...held, state: 'out' },
      { kind: 'unread', lag: 7, consumers: 0, stopped: undefined },
      { kind: 'unread', lag: 7, consumers: 2, stopped: 'keys' },
      { kind: 'parked', stuck },
      { kind: 'before-start', start: 'position 9 of partition 0' },
      { kind: 'settled' },
    ];
    const located: Located = {
      steps: [{ ...at, timeUs: 5, step: 'delivered', subject: 'sub', detail: 'to c1' }],
      standings: places.map((place, n) => ({ ...at, subscription: `s${n}`, epoch: n, place })),
      links: [{ ...at, to: 'east', up: true, held: false }],
      more: false,
    };
    const sent = create(LocateEventResponseSchema, locatedToWire(located));
    const bytes = toBinary(LocateEventResponseSchema, sent);
    expect(locatedFromWire(fromBinary(LocateEventResponseSchema, bytes))).toEqual(located);
  });

  it('is left out where this version does not know it', () => {
    const standing = { place: { partition: 0, position: 1n }, subscription: 's', epoch: 1n };
    const unknown = { case: 'held' as const, value: { state: 'new' } };
    const answer = create(LocateEventResponseSchema, {
      standings: [standing, { ...standing, standing: unknown }],
    });
    expect(locatedFromWire(answer).standings).toEqual([]);
  });

  it('arrives as it was told: books', () => {
    const counters = {
      considered: 10,
      delivered: 4,
      filtered: 3,
      expired: 1,
      deadLettered: 1,
      dropped: 0,
    };
    const partitions = [
      { partition: 0, start: 5, looked: 6 },
      { partition: 1, start: 0, looked: 4 },
      { partition: 2, start: undefined, looked: 0 },
    ];
    const books: EmesherBooks = {
      receipts: 2 ** 40,
      base: 7,
      running: [{ name: 's', epoch: 3, counters, held: 1, partitions }],
      more: false,
      othersLeft: true,
    };
    const sent = create(ReadBooksResponseSchema, booksToWire(books));
    const bytes = toBinary(ReadBooksResponseSchema, sent);
    expect(booksFromWire(fromBinary(ReadBooksResponseSchema, bytes))).toEqual(books);
  });
});
