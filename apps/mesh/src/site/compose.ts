import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { aclSettings, createAclApp } from '@eventmesh/acl';
import {
  CLIENT_METRICS,
  RegistryView,
  createAuditSpool,
  createAuthorizer,
  createGovernanceView,
} from '@eventmesh/clients';
import { Secret, loadConfig, optional, secret, section } from '@eventmesh/config';
import { createEmesherApp, type EmesherApp } from '@eventmesh/emesher';
import { createGovernanceApp, governanceSettings } from '@eventmesh/governance';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { prefixed } from '@eventmesh/kv-api';
import type { Host, Service } from '@eventmesh/lifecycle';
import { AclService } from '@eventmesh/proto-gen/acl';
import { PolicyService } from '@eventmesh/proto-gen/governance';
import { Member_Kind, RegistryService } from '@eventmesh/proto-gen/registry';
import { createRegistryApp, registryAppConfig } from '@eventmesh/registry';
import { Router, createClient, localTransport, type Transport } from '@eventmesh/rpc';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createStoreGatewayApp, storeGatewaySettings } from '@eventmesh/store-gateway';
import type { EventStore } from '@eventmesh/store-api';
import type { SiteConfig } from './config.ts';

const serviceToken = optional(secret('Shared by the services of the site.'));
const aclSpec = section('The acl.', { ...aclSettings, serviceToken });
const governanceSpec = section('The governance.', { ...governanceSettings, serviceToken });
const storeGatewaySpec = section('The store-gateway.', { ...storeGatewaySettings, serviceToken });

/** What the parts of one site share. */
interface Site {
  readonly config: SiteConfig;
  readonly host: Host;
  /** Gathers the services of all apps; served over gRPC, and called in memory by `transport`. */
  readonly router: Router;
  readonly transport: Transport;
  /** Shown by the services to each other. */
  readonly token: { readonly value: string };
  /** Ends what has a life; the last that began ends first. */
  readonly closers: ((deadlineMs: number) => Promise<void>)[];
}

/** A site, and the mesh as an adapter of a protocol in this process sees it. */
export type SiteService = Service & Pick<EmesherApp, 'portFor'>;

/**
 * The five services of a site in this process, the very ones that are deployed apart: the same
 * routers behind one gRPC server, joined by calls in memory instead of channels.
 */
export async function composeSite(config: SiteConfig, host: Host): Promise<SiteService> {
  const router = new Router();
  // Keeps the calls between the services from whoever else reaches the server. New with each
  // process, for nobody outside needs it.
  const token = { value: randomBytes(24).toString('base64url') };
  const transport = localTransport(router, { authorization: `Bearer ${token.value}` });
  const site: Site = { config, host, router, transport, token, closers: [] };
  const drain = async (deadlineMs: number) => {
    for (const closer of site.closers.splice(0).reverse()) await closer(deadlineMs);
    transport.close();
  };
  try {
    const store = await startControlPlane(site);
    return { ...composeDataPlane(site, store), router, drain };
  } catch (error) {
    await drain(1000);
    throw error;
  }
}

/** store-gateway, acl, governance and registry: up first, for the data plane loads from them. */
async function startControlPlane(site: Site): Promise<EventStore> {
  const { config, host, token, transport, closers } = site;
  const { log, metrics, memberId: member } = host;
  const kv = await openEmbeddedKv({ dir: join(config.dir, 'control') });
  closers.push(() => kv.close());
  const gatewayConfig = loadConfig(storeGatewaySpec, { value: { serviceToken: token } });
  const store = await openEmbeddedStore({
    dir: join(config.dir, 'store'),
    pendingBytesMax: gatewayConfig.append.pendingBytesMax,
    onFatal: host.fatal,
  });
  const gateway = createStoreGatewayApp(gatewayConfig, { store, log, metrics });
  closers.push((deadlineMs) => gateway.drain(deadlineMs));
  include(site.router, gateway.router);

  const aclConfig = loadConfig(aclSpec, { value: ofAcl(site) });
  const spool = createAuditSpool(createClient(PolicyService, transport), {
    member,
    entriesMax: aclConfig.audit.spoolMax,
  });
  metrics.measure(CLIENT_METRICS.auditSpool, () => spool.size);
  closers.push((deadlineMs) => spool.close(Math.min(1000, deadlineMs)));
  const acl = createAclApp(aclConfig, {
    kv: prefixed(kv, 'acl/'),
    log,
    metrics,
    member,
    audit: spool.append,
  });
  closers.push((deadlineMs) => acl.drain(deadlineMs));
  include(site.router, acl.router);

  const governance = createGovernanceApp(
    loadConfig(governanceSpec, { value: { serviceToken: token } }),
    {
      kv: prefixed(kv, 'governance/'),
      log,
      metrics,
      member,
      store,
      acl: createClient(AclService, transport),
    },
  );
  closers.push((deadlineMs) => governance.drain(deadlineMs));
  include(site.router, governance.router);

  const registry = createRegistryApp(loadConfig(registryAppConfig, { value: ofRegistry(site) }), {
    kv: prefixed(kv, 'registry/'),
    log,
    metrics,
  });
  closers.push(() => registry.drain());
  include(site.router, registry.router);

  for (const app of [gateway, acl, governance, registry]) await app.start();
  return store;
}

/** Its first passwords are long and random, so that a cheap hash keeps them and the start quick. */
function ofAcl({ config: { bootstrapFile }, token }: Site): Record<string, unknown> {
  const password = { costLog2: 13, parallel: 1 };
  const bootstrap = bootstrapFile === undefined ? {} : { file: bootstrapFile };
  return { serviceToken: token, password, bootstrap };
}

function ofRegistry({ config, token }: Site): Record<string, unknown> {
  const { site, neighbours, linkToken } = config;
  return {
    site,
    neighbours,
    serviceToken: token,
    ...(linkToken === undefined ? {} : { linkToken: { value: linkToken.reveal() } }),
  };
}

function composeDataPlane(
  { config, host, transport, token, closers, router }: Site,
  store: EventStore,
): Omit<SiteService, 'router' | 'drain'> {
  const { log, metrics, tracing, memberId: member } = host;
  const onError = (error: Error) => log.warn({ err: error }, 'a service of the site failed a call');
  let grpcAddress = '';
  const located = Promise.withResolvers<{ grpcAddress: string; httpAddress: string }>();
  const registry = new RegistryView({
    client: createClient(RegistryService, transport),
    member: { id: member, kind: Member_Kind.EMESHER, site: config.site },
    located: located.promise,
    ttlMs: config.dataPlane.lease.ttl,
    log,
  });
  closers.push(() => registry.close());
  const authorizer = createAuthorizer(createClient(AclService, transport), { onError });
  closers.push(() => authorizer.close());
  const policies = createGovernanceView(createClient(PolicyService, transport), {
    member,
    auditEntriesMax: config.dataPlane.audit.spoolMax,
    onError,
  });
  closers.push((deadlineMs) => policies.close(Math.min(1000, deadlineMs)));

  const emesher = createEmesherApp(
    {
      site: config.site,
      member,
      http: config.http,
      links: config.neighbours.map(({ site, address }) => ({ site, address })),
      linkToken: config.linkToken,
      serviceToken: new Secret(token.value),
      dataPlane: config.dataPlane,
      onListening: ({ http = '' }) => {
        located.resolve({ grpcAddress, httpAddress: http });
      },
    },
    { store, registry, authorizer, policies, log, metrics, tracing },
  );
  closers.push((deadlineMs) => emesher.drain(deadlineMs));
  include(router, emesher.router);
  return {
    start: () => Promise.resolve(),
    // It can join the site only now that its address is known.
    announce(address) {
      grpcAddress = address;
      return emesher.start();
    },
    addresses: () => emesher.addresses(),
    portFor: (protocol) => emesher.portFor(protocol),
  };
}

/** Adds the services of an app to the router of the site. */
function include(router: Router, { routes, services }: Router): void {
  for (const [path, route] of routes) router.routes.set(path, route);
  for (const service of services) {
    if (!router.services.includes(service)) router.services.push(service);
  }
}
