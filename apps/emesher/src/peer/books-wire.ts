import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ReadBooksResponse, ReadBooksResponseSchema } from '@eventmesh/proto-gen/peer';
import type { EmesherBooks } from '../inspect/local-books.ts';

export function booksToWire({
  receipts,
  base,
  running,
  more,
  othersLeft,
}: EmesherBooks): MessageInitShape<typeof ReadBooksResponseSchema> {
  return {
    receipts: BigInt(receipts),
    base: BigInt(base),
    more,
    othersLeft,
    books: running.map(({ name, epoch, counters, held, partitions }) => ({
      subscription: name,
      epoch: BigInt(epoch),
      considered: BigInt(counters.considered),
      delivered: BigInt(counters.delivered),
      filtered: BigInt(counters.filtered),
      expired: BigInt(counters.expired),
      deadLettered: BigInt(counters.deadLettered),
      dropped: BigInt(counters.dropped),
      held: BigInt(held),
      partitions: partitions.map(({ partition, start, looked }) => ({
        partition,
        looked: BigInt(looked),
        ...(start === undefined ? {} : { start: BigInt(start) }),
      })),
    })),
  };
}

export function booksFromWire({
  receipts,
  base,
  books,
  more,
  othersLeft,
}: ReadBooksResponse): EmesherBooks {
  return {
    receipts: Number(receipts),
    base: Number(base),
    more,
    othersLeft,
    running: books.map((each) => ({
      name: each.subscription,
      epoch: Number(each.epoch),
      counters: {
        considered: Number(each.considered),
        delivered: Number(each.delivered),
        filtered: Number(each.filtered),
        expired: Number(each.expired),
        deadLettered: Number(each.deadLettered),
        dropped: Number(each.dropped),
      },
      held: Number(each.held),
      partitions: each.partitions.map(({ partition, start, looked }) => ({
        partition,
        start: start === undefined ? undefined : Number(start),
        looked: Number(looked),
      })),
    })),
  };
}
