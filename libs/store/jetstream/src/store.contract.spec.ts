import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStoreContract, startNats } from '@eventmesh/testing';
import { openJetStreamStore } from './index.ts';

describeStoreContract(
  'jetstream',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'store-jetstream-'));
    const server = await startNats({ dir });
    const open = () =>
      openJetStreamStore({ servers: [server.url], monitorUrls: [server.monitorUrl] });
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
        await server.stop();
        rmSync(dir, { recursive: true });
      },
    };
  },
  ['topic-filtered-read', 'time-seek', 'retention'],
);
