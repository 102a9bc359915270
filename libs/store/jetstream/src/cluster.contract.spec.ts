import { describeStoreContract, startNatsCluster, tempDir } from '@eventmesh/testing';
import { openJetStreamStore } from './index.ts';

describeStoreContract(
  'jetstream with three replicas',
  async () => {
    const dir = tempDir('store-jetstream-cluster');
    const servers = await startNatsCluster({ dir: dir.path });
    const open = () =>
      openJetStreamStore({
        servers: servers.map(({ url }) => url),
        monitorUrls: servers.map(({ monitorUrl }) => monitorUrl),
        replicas: 3,
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
        dir.remove();
      },
    };
  },
  ['topic-filtered-read', 'time-seek', 'retention'],
);
