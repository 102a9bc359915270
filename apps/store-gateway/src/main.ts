import { runService } from '@eventmesh/lifecycle';
import { createStoreGatewayApp } from './app.ts';
import { storeGatewayConfig } from './config.ts';
import { openStore } from './open-store.ts';

await runService({
  name: 'store-gateway',
  config: storeGatewayConfig,
  async create(config, { log, metrics, fatal }) {
    const store = await openStore(config, fatal);
    const app = createStoreGatewayApp(config, { store, log, metrics });
    return {
      router: app.router,
      start: () => app.start(),
      drain: (deadlineMs) => app.drain(deadlineMs),
    };
  },
});
