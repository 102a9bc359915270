import { runService } from '@eventmesh/lifecycle';
import { createRegistryApp } from './app.ts';
import { registryConfig } from './config.ts';
import { openKv } from '@eventmesh/kv-open';

await runService({
  name: 'registry',
  config: registryConfig,
  async create(config, { log, metrics }) {
    const kv = await openKv(config.kv);
    const app = createRegistryApp(config, { kv, log, metrics });
    return {
      router: app.router,
      start: () => app.start(),
      async drain(deadlineMs) {
        await app.drain(deadlineMs);
        await kv.close();
      },
    };
  },
});
