import { DuplicateWindow } from '@eventmesh/store-api';
import { unavailable } from '@eventmesh/errors';
import type { Connection } from './connection.ts';
import { decodeHeaders } from './message.ts';
import { headerReader } from './raw-message.ts';
import { StreamPull } from './stream-pull.ts';
import { streamRange } from './streams.ts';

export interface Tail {
  readonly last: number;
  readonly window: DuplicateWindow;
  /** Sequences that the records read carry. */
  readonly producers: ReadonlyMap<string, number>;
}

const READ_BYTES = 4 * 1024 * 1024;

/**
 * Reads back what a writer has to know from the headers of the stream's last records: as many as
 * the duplicate window holds, and all that came after the producers were last put down.
 */
export async function readTail(
  connection: Connection,
  stream: string,
  options: { readonly duplicateWindow: number; readonly producersAfter: number },
): Promise<Tail> {
  const { first, last } = await streamRange(connection, stream);
  const window = new DuplicateWindow(options.duplicateWindow);
  const producers = new Map<string, number>();
  const windowFrom = last - options.duplicateWindow + 1;
  const from = Math.max(first, Math.min(windowFrom, options.producersAfter + 1));
  if (from > last) return { last, window, producers };
  const pull = await StreamPull.open(connection, {
    stream,
    subjects: [],
    from,
    bytesMax: READ_BYTES,
    headersOnly: true,
  });
  try {
    for (let next = from; next <= last;) {
      for (const { position, message } of await pull.next()) {
        if (position > last) continue;
        const { dedupKey, producer } = decodeHeaders(headerReader(message));
        const known = dedupKey === '' || window.find(dedupKey) !== undefined;
        if (position >= windowFrom && !known) window.add(dedupKey, position);
        if (producer !== undefined) producers.set(producer.id, producer.last);
        next = position + 1;
      }
      if (pull.failed) throw unavailable('the tail of the log could not be read');
    }
  } finally {
    await pull.close();
  }
  return { last, window, producers };
}
