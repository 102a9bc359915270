/** Writes keys one by one and prints the number of each that is acknowledged, until it is killed. */
import { openEmbeddedKv } from './kv.ts';

const kv = await openEmbeddedKv({ dir: process.argv[2] ?? '' });
for (let i = 1; i < 100_000; i += 1) {
  await kv.put(`key/${String(i).padStart(6, '0')}`, new Uint8Array(100));
  process.stdout.write(`${i}\n`);
}
