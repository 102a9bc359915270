import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStoreContract } from '@eventmesh/testing';
import { openEmbeddedStore } from './index.ts';

describeStoreContract(
  'embedded',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'store.embedded-'));
    const open = () => openEmbeddedStore({ dir, retentionIntervalMs: 50 });
    let store = await open();
    return {
      store,
      async reopen() {
        await store.close();
        store = await open();
        return store;
      },
      async dispose() {
        await store.close();
        rmSync(dir, { recursive: true });
      },
    };
  },
  ['topic-filtered-read', 'time-seek', 'retention'],
);
