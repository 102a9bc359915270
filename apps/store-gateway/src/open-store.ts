import type { EventStore } from '@eventmesh/store-api';
import { openEmbeddedStore } from '@eventmesh/store-embedded';
import type { StoreGatewayConfig } from './config.ts';

/** Opens the store that the configuration names: the only place that knows the plugins. */
export function openStore(
  { store, append: { pendingBytesMax } }: Pick<StoreGatewayConfig, 'store' | 'append'>,
  onFatal: (error: unknown) => void,
): Promise<EventStore> {
  switch (store.kind) {
    case 'embedded':
      return openEmbeddedStore({ dir: store.dir, pendingBytesMax, onFatal });
    case 'jetstream':
      return openJetStream(store, pendingBytesMax);
  }
}

/** Loads the client only here, so that an embedded site does not pay for what it never uses. */
async function openJetStream(
  config: StoreGatewayConfig['store'],
  pendingBytesMax: number,
): Promise<EventStore> {
  const [{ openJetStreamStore }, { credsAuthenticator }] = await Promise.all([
    import('@eventmesh/store-jetstream'),
    import('@nats-io/nats-core'),
  ]);
  const { servers, monitorUrls, replicas, credentials, tls } = config;
  const { groupsInFlightMax, singlesInFlightMax } = config;
  const encoder = new TextEncoder();
  return openJetStreamStore({
    servers,
    replicas,
    pendingBytesMax,
    groupsInFlightMax,
    singlesInFlightMax,
    monitorUrls,
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
