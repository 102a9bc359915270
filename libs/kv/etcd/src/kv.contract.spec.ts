import { Backoff } from '@eventmesh/kv-api';
import { describeKvContract, startEtcd, startProxy, tempDir } from '@eventmesh/testing';
import { openEtcdKv } from './kv.ts';

describeKvContract(
  'the etcd Kv',
  async () => {
    const dir = tempDir('etcd');
    const server = await startEtcd({ dir: dir.path, heartbeatMs: 20, electionMs: 200 });
    const proxy = await startProxy(server);
    const backoff = () => new Backoff({ maxMs: 200 });
    const open = () =>
      openEtcdKv({ endpoints: [`http://127.0.0.1:${proxy.port}`], callTimeoutMs: 1500, backoff });
    let kv = open();
    const other = openEtcdKv({ endpoints: [server.url] });
    return {
      kv,
      other,
      leaseTtlMs: 1000,
      compact: (revision) => other.compact(revision),
      cut: () => {
        proxy.cut();
      },
      heal: () => {
        proxy.heal();
      },
      async restart() {
        await kv.close();
        await server.restart();
        kv = open();
        return kv;
      },
      async dispose() {
        await Promise.all([kv.close(), other.close()]);
        await proxy.close();
        await server.stop();
        dir.remove();
      },
    };
  },
  ['connection-loss', 'restart'],
);
