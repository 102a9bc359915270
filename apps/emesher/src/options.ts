import type { HttpAdapterOptions } from '@eventmesh/adapter-http';
import type { Authorizer, GovernanceView, RegistryView } from '@eventmesh/clients';
import type { Secret } from '@eventmesh/config';
import type { EventStore } from '@eventmesh/store-api';
import type { Logger, Metrics, Tracing } from '@eventmesh/telemetry';
import type { DataPlaneConfig } from './config.ts';
import type { Neighbour } from './link/link-client.ts';
import type { PeerTls } from './peer/peer-tls.ts';

export interface EmesherOptions {
  readonly site: string;
  readonly member: string;
  /** Undefined: HTTP is not served. */
  readonly http: HttpAdapterOptions | undefined;
  readonly links: readonly Neighbour[];
  readonly linkToken: Secret | undefined;
  /** Shown to and asked of the other emeshers of the site; without it none of them is called. */
  readonly serviceToken: Secret | undefined;
  /** How the other emeshers of the site are called; undefined: without TLS. */
  readonly peerTls?: PeerTls | undefined;
  readonly dataPlane: DataPlaneConfig;
  /** Told what the protocols listen on, before the site is joined. */
  readonly onListening?: (addresses: Readonly<Record<string, string>>) => void;
}

/** The other services, in this process or over gRPC: the emesher cannot tell. */
export interface EmesherDeps {
  readonly store: EventStore;
  readonly registry: RegistryView;
  readonly authorizer: Authorizer;
  readonly policies: GovernanceView;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
}
