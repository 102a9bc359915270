import { KV_KEY_BYTES_MAX, prefixed, type Kv } from '@eventmesh/kv-api';
import { describeKvContract, tempDir, type KvUnderTest } from '@eventmesh/testing';
import { openEmbeddedKv } from './kv.ts';

async function embedded(view: (kv: Kv) => Kv, root: string): Promise<KvUnderTest> {
  const dir = tempDir('kv');
  let kv = await openEmbeddedKv({ dir: dir.path });
  let other = await openEmbeddedKv({ dir: dir.path });
  const close = () => Promise.all([kv.close(), other.close()]);
  return {
    kv: view(kv),
    other: view(other),
    leaseTtlMs: 300,
    keyBytesMax: KV_KEY_BYTES_MAX - root.length,
    compact: (revision) => kv.compact(revision),
    async restart() {
      await close();
      kv = await openEmbeddedKv({ dir: dir.path });
      other = await openEmbeddedKv({ dir: dir.path });
      return view(kv);
    },
    async dispose() {
      await close();
      dir.remove();
    },
  };
}

describeKvContract('the embedded Kv', () => embedded((kv) => kv, ''), ['restart']);
describeKvContract('a prefixed Kv', () => embedded((kv) => prefixed(kv, 'root/'), 'root/'), []);
