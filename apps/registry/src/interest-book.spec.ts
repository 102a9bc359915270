import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { DeliveryClass } from '@eventmesh/proto-gen/event';
import { SubscriptionSchema } from '@eventmesh/proto-gen/subscriber';
import { aggregateInterest } from '@eventmesh/routing';
import fc from 'fast-check';
import { InterestBook } from './interest-book.ts';

const subscription = (
  tenant: string,
  topicFilters: string[],
  deliveryClass: DeliveryClass = DeliveryClass.DURABLE,
) => create(SubscriptionSchema, { name: 's', tenant, topicFilters, deliveryClass });

const read = (book: InterestBook) =>
  book.interest().map((i) => `${i.tenant} ${i.deliveryClass} ${i.topicFilter}`);

describe('InterestBook', () => {
  it('keeps tenants and classes apart and drops what is covered', () => {
    const book = new InterestBook();
    book.add(subscription('b', ['x', 'y/#', 'y/z']));
    book.add(subscription('a', ['x']));
    book.add(subscription('a', ['x'], DeliveryClass.DIRECT));
    expect(read(book)).toEqual(['a 1 x', 'a 2 x', 'b 1 x', 'b 1 y/#']);
  });

  it('takes an unspecified class as durable', () => {
    const book = new InterestBook();
    book.add(subscription('a', ['x'], DeliveryClass.UNSPECIFIED));
    expect(read(book)).toEqual(['a 1 x']);
  });

  it('keeps a filter as long as one subscription has it', () => {
    const book = new InterestBook();
    book.add(subscription('a', ['x', 'x']));
    book.add(subscription('a', ['x']));
    book.remove(subscription('a', ['x', 'x']));
    expect(read(book)).toEqual(['a 1 x']);
    book.remove(subscription('a', ['x']));
    expect(read(book)).toEqual([]);
  });

  it('depends on the subscriptions alone: the same as all of them aggregated at once', () => {
    const level = fc.constantFrom('a', 'b', 'c', '+');
    const filter = fc
      .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([levels, hash]) => [...levels, ...(hash ? ['#'] : [])].join('/'));
    const step = fc.record({
      filters: fc.array(filter, { minLength: 1, maxLength: 3 }),
      remove: fc.boolean(),
      read: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const book = new InterestBook(4);
        const live: string[][] = [];
        for (const { filters, remove, read: look } of steps) {
          const gone = remove ? live.shift() : undefined;
          if (gone !== undefined) book.remove(subscription('t', gone));
          live.push(filters);
          book.add(subscription('t', filters));
          if (!look) continue;
          const expected = aggregateInterest(aggregateInterest(live.flat()), 4);
          expect(book.interest().map((i) => i.topicFilter)).toEqual(expected);
        }
      }),
    );
  });
});
