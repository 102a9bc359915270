import { runService, tlsFiles } from '@eventmesh/lifecycle';
import { AclService } from '@eventmesh/proto-gen/acl';
import { createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
import { openRemoteStore } from '@eventmesh/store-remote';
import { createGovernanceApp } from './app.ts';
import { governanceConfig, type GovernanceConfig } from './config.ts';
import { openKv } from '@eventmesh/kv-open';

await runService({
  name: 'governance',
  config: governanceConfig,
  async create(config, { log, metrics, memberId }) {
    const kv = await openKv(config.kv);
    const acl = connect(config, 'acl');
    const app = createGovernanceApp(config, {
      kv,
      store: () => openRemoteStore({ transport: connect(config, 'store') }),
      acl: createClient(AclService, acl),
      log,
      metrics,
      member: memberId,
    });
    return {
      router: app.router,
      start: () => app.start(),
      async drain(deadlineMs) {
        await app.drain(deadlineMs);
        acl.close();
        await kv.close();
      },
    };
  },
});

function connect(config: GovernanceConfig, name: keyof GovernanceConfig['services']): Transport {
  const { address, tls } = config.services[name];
  const token = config.serviceToken;
  return grpcTransport({
    address,
    ...(tls === undefined ? {} : { tls: tlsFiles(tls) }),
    metadata: () => (token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
  });
}
