import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { grpcTransport } from '@eventmesh/rpc';
import type { EventStore } from '@eventmesh/store-api';
import { openRemoteStore } from '@eventmesh/store-remote';
import { startNats, type NatsServer } from '@eventmesh/testing';
import { startGateway, type GatewayProcess } from './gateway-process.ts';

export type SiteKind = 'embedded' | 'jetstream' | 'jetstream with lazy syncs';

/** A site's store on a disk: the processes that write there, and a client of the gateway. */
export interface Site {
  readonly store: EventStore;
  readonly gateway: GatewayProcess;
  /** Undefined on an embedded store. */
  readonly nats: NatsServer | undefined;
  /** Sends a signal to every process of it; SIGKILL waits for their end. */
  signal(signal: NodeJS.Signals): Promise<void>;
  close(): Promise<void>;
}

/** Starts what the site consists of, by the shipped way, on what lies on the disk. */
export async function startSite(kind: SiteKind, disk: string, config: string): Promise<Site> {
  mkdirSync(config, { recursive: true });
  if (kind === 'embedded') {
    const gateway = await startGateway(config, {
      grpc: { port: 0 },
      store: { kind, dir: join(disk, 'store') },
    });
    return site(gateway, undefined);
  }
  const syncInterval = kind === 'jetstream' ? 'always' : '2m';
  const nats = await startNats({ dir: join(disk, 'nats'), syncInterval });
  const gateway = await startGateway(config, {
    grpc: { port: 0 },
    durability: { strict: kind === 'jetstream' },
    store: { kind: 'jetstream', servers: [nats.url], monitorUrls: [nats.monitorUrl] },
  });
  return site(gateway, nats);
}

type Signal = (signal: NodeJS.Signals) => Promise<void>;

async function site(gateway: GatewayProcess, nats: NatsServer | undefined): Promise<Site> {
  const store = await openRemoteStore({
    transport: grpcTransport({ address: gateway.grpc }),
    appendTimeoutMs: 5000,
  });
  const signal: Signal = async (name) => {
    await nats?.kill(name);
    await gateway.signal(name);
  };
  return {
    store,
    gateway,
    nats,
    signal,
    async close() {
      await store.close();
      await signal('SIGKILL');
    },
  };
}
