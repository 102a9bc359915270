import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStoreContract, startNats, startNatsCluster } from '@eventmesh/testing';
import { openJetStreamStore } from './index.ts';

for (const replicas of [1, 3]) describeStoreContract(
  `jetstream with ${replicas} replicas`,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'store-jetstream-'));
    const servers =
      replicas === 1 ? [await startNats({ dir })] : await startNatsCluster({ dir, nodes: replicas });
    const open = () =>
      openJetStreamStore({
        servers: servers.map(({ url }) => url),
        monitorUrls: servers.map(({ monitorUrl }) => monitorUrl),
        replicas,
      });
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
        await Promise.all(servers.map((server) => server.stop()));
        rmSync(dir, { recursive: true });
      },
    };
  },
  ['topic-filtered-read', 'time-seek', 'retention'],
);
