import { DuplicateWindow } from '@eventmesh/store-api';
import type { Connection } from './connection.ts';
import type { Place } from './marks.ts';
import { decodeHeaders, markOf } from './message.ts';
import type { ProducerMark } from './producer-book.ts';
import { headerReader } from './raw-message.ts';
import { storedHeaders } from './stored.ts';
import { streamRange } from './streams.ts';

export interface Tail {
  readonly last: number;
  readonly window: DuplicateWindow;
  /** What the records read say of producers, in order of position. */
  readonly marks: readonly ProducerMark[];
}

/**
 * Reads back what a writer has to know from the headers of the stream's last records: as many as
 * the duplicate window holds, and all that came after the producers were last put down.
 *
 * @throws MeshError DataLoss when one of them is missing.
 */
export async function readTail(
  connection: Connection,
  place: Place,
  options: { readonly duplicateWindow: number; readonly producersAfter: number },
): Promise<Tail> {
  const { first, last } = await streamRange(connection, place.stream);
  const window = new DuplicateWindow(options.duplicateWindow);
  const marks = new Map<string, ProducerMark>();
  const windowFrom = last - options.duplicateWindow + 1;
  const from = Math.max(first, Math.min(windowFrom, options.producersAfter + 1));
  for await (const delivered of storedHeaders(connection, place, from, last)) {
    for (const { position, message } of delivered) {
      const get = headerReader(message);
      const { dedupKey } = decodeHeaders(get);
      const known = dedupKey === '' || window.find(dedupKey) !== undefined;
      if (position >= windowFrom && !known) window.add(dedupKey, position);
      const mark = markOf(get, position);
      // The last one of each counts; a record is read once.
      if (mark !== undefined) marks.set(`${mark.kind} ${mark.id}`, mark);
    }
  }
  return { last, window, marks: [...marks.values()] };
}
