import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import type { StoreGatewayConfig } from './config.ts';

/** Opens the store that the configuration names: the only place that knows the plugins. */
export function openStore(
  config: StoreGatewayConfig['store'],
  onFatal: (error: unknown) => void,
): Promise<EventStore> {
  switch (config.kind) {
    case 'embedded':
      return openEmbeddedStore({ dir: config.dir, onFatal });
    case 'jetstream':
      return openJetStream(config);
  }
}

/** Loads the client only here, so that an embedded site does not pay for what it never uses. */
async function openJetStream(config: StoreGatewayConfig['store']): Promise<EventStore> {
  const [{ openJetStreamStore }, { credsAuthenticator }] = await Promise.all([
    import('@eventmesh/store-jetstream'),
    import('@nats-io/nats-core'),
  ]);
  const { servers, monitorUrl, replicas, credentials, tls } = config;
  const encoder = new TextEncoder();
  return openJetStreamStore({
    servers,
    replicas,
    monitorUrls: monitorUrl === undefined ? [] : [monitorUrl],
    credentials: {
      ...(credentials === undefined
        ? {}
        : { authenticator: credsAuthenticator(encoder.encode(credentials.reveal())) }),
      ...(tls === undefined
        ? {}
        : {
            tls: Object.fromEntries(Object.entries(tls).filter(([, file]) => file !== undefined)),
          }),
    },
  });
}
