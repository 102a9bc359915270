import { open } from 'lmdb';
import { EventSource } from './events.ts';
import type { Job, Ready } from './job.ts';

const BATCH_EVENTS = 500;
const BATCHES_OPEN = 16;
const WARM_UP_EVENTS = 20_000;

/**
 * What the disk and LMDB give at best: puts of the same events in batches, each awaited until it is
 * on disk, with a bounded number of batches open.
 */
export function lmdb({ dir, events }: Extract<Job, { kind: 'lmdb' }>): Promise<Ready> {
  const env = open<Buffer, Buffer>({
    path: dir,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
  });
  const source = new EventSource();
  let position = 0;
  const putAll = async (count: number) => {
    let left = count;
    const worker = async () => {
      while (left > 0) {
        const size = Math.min(BATCH_EVENTS, left);
        left -= size;
        await env.batch(() => {
          for (let i = 0; i < size; i++) {
            const key = Buffer.allocUnsafe(8);
            key.writeBigUInt64BE(BigInt(++position));
            void env.put(key, source.next());
          }
        });
        await env.flushed;
      }
    };
    await Promise.all(Array.from({ length: BATCHES_OPEN }, worker));
  };
  return putAll(WARM_UP_EVENTS).then(() => ({
    async run() {
      await putAll(events);
      return {};
    },
    close: () => env.close(),
  }));
}
