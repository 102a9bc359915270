import { loadConfig, section } from '@eventmesh/config';
import {
  RpcServer,
  grpcTransport,
  localTransport,
  type Router,
  type Transport,
} from '@eventmesh/rpc';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { openRemoteStore } from '@eventmesh/store-remote';
import { Metrics, createLogger } from '@eventmesh/telemetry';
import { describeStoreContract, tempDir } from '@eventmesh/testing';
import { createStoreGatewayApp, storeGatewaySettings } from './index.ts';

const settings = loadConfig(section('', storeGatewaySettings), { value: {} });

/** The contract over the client, the wire and the service, in front of an embedded store. */
function describeRemote(
  name: string,
  connect: (router: Router) => Promise<{ transport: Transport; stop: () => void }>,
): void {
  describeStoreContract(name, async () => {
    const dir = tempDir('store-remote');
    const open = async () => {
      const app = createStoreGatewayApp(settings, {
        store: await openEmbeddedStore({ dir: dir.path, retentionIntervalMs: 50 }),
        log: createLogger({ level: 'silent', service: 'test' }),
        metrics: new Metrics(),
      });
      await app.start();
      const { transport, stop } = await connect(app.router);
      const store = await openRemoteStore({ transport });
      return {
        store,
        async close() {
          await store.close();
          stop();
          await app.drain();
        },
      };
    };
    let current = await open();
    return {
      store: current.store,
      async reopen() {
        await current.close();
        current = await open();
        return current.store;
      },
      async dispose() {
        await current.close();
        dir.remove();
      },
    };
  }, ['topic-filtered-read', 'time-seek', 'retention']);
}

describeRemote('remote over gRPC', async (router) => {
  const server = new RpcServer(router, { port: 0 });
  await server.start();
  return {
    transport: grpcTransport({ address: server.address }),
    stop: () => server.stop(),
  };
});

describeRemote('remote in process', (router) =>
  Promise.resolve({ transport: localTransport(router), stop: () => undefined }),
);
