import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { aclSettings, createAclApp } from '@eventmesh/acl';
import { RegistryView, createAuthorizer, createGovernanceView } from '@eventmesh/clients';
import { loadConfig, optional, secret, section } from '@eventmesh/config';
import { createEmesherApp } from '@eventmesh/emesher';
import { createGovernanceApp, governanceSettings } from '@eventmesh/governance';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import { prefixed } from '@eventmesh/kv-api';
import type { Host, Service } from '@eventmesh/lifecycle';
import { AclService } from '@eventmesh/proto-gen/acl';
import { PolicyService } from '@eventmesh/proto-gen/governance';
import { Member_Kind, RegistryService } from '@eventmesh/proto-gen/registry';
import { createRegistryApp, registryAppConfig } from '@eventmesh/registry';
import { Router, createClient, localTransport } from '@eventmesh/rpc';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import { createStoreGatewayApp, storeGatewaySettings } from '@eventmesh/store-gateway';
import type { SiteConfig } from './config.ts';

const serviceToken = optional(secret('Shared by the services of the site.'));
const aclSpec = section('The acl.', { ...aclSettings, serviceToken });
const governanceSpec = section('The governance.', { ...governanceSettings, serviceToken });
const storeGatewaySpec = section('The store-gateway.', { ...storeGatewaySettings, serviceToken });

/** What has a life, in the order of its start; it ends in the reverse order. */
type Closers = ((deadlineMs: number) => Promise<void>)[];

/**
 * The five services of a site in this process, the very ones that are deployed apart: the same
 * routers behind one gRPC server, joined by calls in memory instead of channels.
 */
export async function composeSite(config: SiteConfig, host: Host): Promise<Service> {
  const closers: Closers = [];
  const close = async (deadlineMs: number) => {
    for (const closer of closers.splice(0).reverse()) await closer(deadlineMs);
  };
  try {
    const control = await startControlPlane(config, host, closers);
    return composeDataPlane(config, host, control, { closers, close });
  } catch (error) {
    await close(1000);
    throw error;
  }
}

/**
 * registry, acl, governance and store-gateway. The token keeps the calls between the services from
 * whoever else reaches the server; it is new with each process, for nobody outside needs it.
 */
async function startControlPlane(config: SiteConfig, host: Host, closers: Closers) {
  const { log, metrics, memberId } = host;
  const token = { value: randomBytes(24).toString('base64url') };
  const kv = await openEmbeddedKv({ dir: join(config.dir, 'control') });
  closers.push(() => kv.close());

  const store = await openEmbeddedStore({ dir: join(config.dir, 'store'), onFatal: host.fatal });
  const gateway = createStoreGatewayApp(
    loadConfig(storeGatewaySpec, { value: { serviceToken: token } }),
    { store, log, metrics },
  );
  closers.push((deadlineMs) => gateway.drain(deadlineMs));

  const governance = createGovernanceApp(
    loadConfig(governanceSpec, { value: { serviceToken: token } }),
    { kv: prefixed(kv, 'governance/'), log, metrics },
  );
  closers.push((deadlineMs) => governance.drain(deadlineMs));

  const bootstrap = config.bootstrapFile === undefined ? {} : { file: config.bootstrapFile };
  const acl = createAclApp(loadConfig(aclSpec, { value: { serviceToken: token, bootstrap } }), {
    kv: prefixed(kv, 'acl/'),
    log,
    metrics,
    member: memberId,
  });
  closers.push((deadlineMs) => acl.drain(deadlineMs));

  const linkToken =
    config.linkToken === undefined ? {} : { linkToken: { value: config.linkToken.reveal() } };
  const registry = createRegistryApp(
    loadConfig(registryAppConfig, {
      value: {
        site: config.site,
        neighbours: config.neighbours,
        serviceToken: token,
        ...linkToken,
      },
    }),
    { kv: prefixed(kv, 'registry/'), log, metrics },
  );
  closers.push(() => registry.drain());

  // The data plane loads its views from them, so they are up first.
  await gateway.start();
  await governance.start();
  await acl.start();
  await registry.start();
  return { gateway, governance, acl, registry, token: token.value };
}

type ControlPlane = Awaited<ReturnType<typeof startControlPlane>>;

function composeDataPlane(
  config: SiteConfig,
  host: Host,
  { gateway, governance, acl, registry, token }: ControlPlane,
  { closers, close }: { closers: Closers; close: (deadlineMs: number) => Promise<void> },
): Service {
  const { log, metrics, tracing, memberId } = host;
  const within = (router: Router) => localTransport(router, { authorization: `Bearer ${token}` });
  const onError = (error: Error) => log.warn({ err: error }, 'a service of the site failed a call');
  const located = Promise.withResolvers<{ grpcAddress: string; httpAddress: string }>();

  const view = new RegistryView({
    client: createClient(RegistryService, within(registry.router)),
    member: { id: memberId, kind: Member_Kind.EMESHER, site: config.site },
    located: located.promise,
    log,
  });
  closers.push(() => view.close());
  const authorizer = createAuthorizer(createClient(AclService, within(acl.router)), { onError });
  closers.push(() => authorizer.close());
  const policies = createGovernanceView(createClient(PolicyService, within(governance.router)), {
    member: memberId,
    onError,
  });
  closers.push((deadlineMs) => policies.close(Math.min(1000, deadlineMs)));

  const emesher = createEmesherApp(
    {
      site: config.site,
      member: memberId,
      http: config.http,
      links: config.neighbours.map(({ site, address }) => ({ site, address })),
      linkToken: config.linkToken?.reveal(),
      dataPlane: config.dataPlane,
    },
    { store: gateway.store, registry: view, authorizer, policies, log, metrics, tracing },
  );
  closers.push((deadlineMs) => emesher.drain(deadlineMs));

  return {
    router: merged([emesher, registry, acl, governance, gateway].map(({ router }) => router)),
    start: () => Promise.resolve(),
    async announce(grpcAddress) {
      located.resolve({ grpcAddress, httpAddress: '' });
      await emesher.start();
    },
    addresses: () => emesher.addresses(),
    drain: close,
  };
}

/** One router with the services of all. */
function merged(routers: readonly Router[]): Router {
  const all = new Router();
  for (const { routes, services } of routers) {
    for (const [path, route] of routes) all.routes.set(path, route);
    all.services.push(...services.filter((service) => !all.services.includes(service)));
  }
  return all;
}
