import { RegistryView, createAuthorizer, createGovernanceView } from '@eventmesh/clients';
import { awayLog, runService, tlsFiles } from '@eventmesh/lifecycle';
import { AclService } from '@eventmesh/proto-gen/acl';
import { PolicyService } from '@eventmesh/proto-gen/governance';
import { Member_Kind, RegistryService } from '@eventmesh/proto-gen/registry';
import { createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
import { openRemoteStore } from '@eventmesh/store-remote';
import { createEmesherApp } from './app.ts';
import { emesherConfig, type EmesherConfig } from './config.ts';
import { neighboursOf } from './neighbours.ts';
import { peerTls } from './peer/peer-tls.ts';

await runService({
  name: 'emesher',
  config: emesherConfig,
  async create(config, { log, metrics, tracing, memberId }) {
    const { registry, store, acl, governance } = transports(config);
    const located = Promise.withResolvers<{ grpcAddress: string; httpAddress: string }>();
    let grpcAddress = '';
    const view = new RegistryView({
      client: createClient(RegistryService, registry),
      member: { id: memberId, kind: Member_Kind.EMESHER, site: config.site },
      located: located.promise,
      ttlMs: config.dataPlane.lease.ttl,
      log,
    });
    const authorizer = createAuthorizer(createClient(AclService, acl), {
      onError: awayLog(log, 'the acl service is away'),
    });
    const policies = createGovernanceView(createClient(PolicyService, governance), {
      member: memberId,
      auditEntriesMax: config.dataPlane.audit.spoolMax,
      onError: awayLog(log, 'the governance service is away'),
    });
    const remoteStore = await openRemoteStore({
      ...config.services.store,
      transport: store,
      openTimeoutMs: 60_000,
    });
    const app = createEmesherApp(
      {
        site: config.site,
        member: memberId,
        http: config.protocols.http ? config.http : undefined,
        links: neighboursOf(config.links),
        linkToken: config.linkToken,
        serviceToken: config.serviceToken,
        peerTls: peerTls(config.grpc.tls === undefined ? undefined : tlsFiles(config.grpc.tls)),
        dataPlane: config.dataPlane,
        onListening: ({ http = '' }) => {
          located.resolve({ grpcAddress, httpAddress: http });
        },
      },
      { store: remoteStore, registry: view, authorizer, policies, log, metrics, tracing },
    );
    return {
      router: app.router,
      start: () => Promise.resolve(),
      // It can join the site only now that its address is known.
      announce(address) {
        grpcAddress = address;
        return app.start();
      },
      addresses: app.addresses,
      async drain(deadlineMs) {
        await app.drain(deadlineMs);
        await policies.close(1000);
        await Promise.all([view.close(), authorizer.close(), remoteStore.close()]);
        for (const transport of [registry, acl, governance]) transport.close();
      },
    };
  },
});

function transports({ services, serviceToken }: EmesherConfig) {
  const authorization =
    serviceToken === undefined ? {} : { authorization: `Bearer ${serviceToken.reveal()}` };
  const open = ({ address, tls }: EmesherConfig['services']['acl']): Transport =>
    grpcTransport({
      address,
      metadata: () => authorization,
      ...(tls === undefined ? {} : { tls: tlsFiles(tls) }),
    });
  return {
    registry: open(services.registry),
    store: open(services.store),
    acl: open(services.acl),
    governance: open(services.governance),
  };
}
