import type { Clock, Kv } from '@eventmesh/kv-api';
import type { LiveMetrics, Logger, Metrics } from '@eventmesh/telemetry';
import type { REGISTRY_METRICS } from './metrics.ts';
import type { RegistryState } from './state.ts';

/** What every part of the registry works with. */
export interface Parts {
  readonly site: string;
  /** The control state below the state root; `state` mirrors it. */
  readonly kv: Kv;
  readonly state: RegistryState;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: LiveMetrics<typeof REGISTRY_METRICS>;
  /** Tells how full queues are. */
  readonly measure: Metrics['measure'];
}

/** Names of members, tenants and subscriptions. */
const NAME = /^[A-Za-z0-9._-]{1,128}$/;
export const isName = (name: string): boolean => NAME.test(name);

const SITE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
export const isSite = (site: string): boolean => SITE.test(site);
