import type { AppendReceipt } from '@eventmesh/store-api';
import type { Journal } from '../inspect/journal.ts';
import type { Ledger } from '../inspect/ledger.ts';
import { StoredBooks } from '../inspect/stored-books.ts';
import type { Timers } from '../schedule/timers.ts';
import type { Call, Group, Sent } from './call.ts';

export interface ReceiptDeps {
  readonly site: string;
  readonly ledger: Pick<Ledger, 'accepted' | 'duplicates' | 'storeRefused' | 'publishTime'>;
  readonly journal: Journal;
  readonly timers: () => Pick<Timers, 'room'>;
}

/**
 * What the store has answered to an append of a group: a receipt for each of its events, and those
 * that are new come into the books.
 *
 * @param from place of the first event of the append in its group
 */
export function takeReceipt(
  { site, ledger, journal, timers }: ReceiptDeps,
  call: Call,
  group: Group,
  from: number,
  receipt: AppendReceipt,
): void {
  const { tenant } = call.session.principal;
  const { partition } = group;
  const { durability } = receipt;
  const books = new StoredBooks(journal, { tenant, partition, timeMs: Date.now() }, receipt);
  let bytes = 0;
  let last = 0;
  for (let i = 0; i < receipt.positions.length; i++) {
    const position = books.position(i);
    const event = group.events[from + i] as Sent;
    const { resolved, deliverAtMs } = event;
    const duplicate = books.isDuplicate(i);
    const { destinations } = resolved;
    const noInterest = !resolved.wanted.durable;
    const stored = { site, partition, position, duplicate, durability, noInterest, destinations };
    // A duplicate comes when the first one is due, and that may be another time.
    const later = deliverAtMs !== 0 && !duplicate;
    call.outcomes[event.place] = later ? { ...stored, deliverAtMs } : stored;
    if (duplicate) continue;
    bytes += event.bytes;
    last = Math.max(last, position);
    // A scheduled event comes into the books of its topic when it is published.
    if (deliverAtMs === 0) books.enter(i, resolved.count, event);
  }
  ledger.accepted(tenant, 'durable', books.fresh, bytes);
  ledger.duplicates(tenant, books.duplicates);
  if (group.homes.length === 0) return;
  const room = timers().room(tenant);
  room.give(books.duplicates);
  room.landed(books.fresh, last);
}
