import { invalid } from '@eventmesh/errors';
import { Backoff, type Clock, systemClock } from '@eventmesh/kv-api';

export interface EtcdKvOptions {
  /** `http://host:port` or, for all of them, `https://host:port`. At least one. */
  readonly endpoints: readonly string[];
  /** For servers with authentication switched on. Default: none. */
  readonly auth?: { readonly username: string; readonly password: string };
  /** For `https` endpoints; PEM. Default: the system's authorities and no client certificate. */
  readonly tls?: {
    readonly ca: string | Uint8Array;
    readonly cert?: string | Uint8Array;
    readonly key?: string | Uint8Array;
  };
  /** Deadline of every call, in milliseconds. Default 5,000. */
  readonly callTimeoutMs?: number;
  /**
   * How often a connection is probed, in milliseconds; one that does not answer for half of it is
   * given up. The server refuses less than 5,000 (its `--grpc-keepalive-min-time`). Default 10,000.
   */
  readonly probeIntervalMs?: number;
  /** Waits between attempts of a watch to connect. Default: 50 ms doubling to 5 s, with jitter. */
  readonly backoff?: () => Backoff;
  /** Default: the system's. */
  readonly clock?: Clock;
}

export const ETCD_KV_DEFAULTS = Object.freeze({ callTimeoutMs: 5000, probeIntervalMs: 10_000 });

export interface CompiledOptions extends EtcdKvOptions {
  readonly callTimeoutMs: number;
  readonly probeIntervalMs: number;
  readonly backoff: () => Backoff;
  readonly clock: Clock;
}

export function compileOptions(given: EtcdKvOptions): CompiledOptions {
  const options = {
    ...ETCD_KV_DEFAULTS,
    backoff: () => new Backoff(),
    clock: systemClock,
    ...given,
  };
  if (options.endpoints.length === 0) throw invalid('endpoints', 'must name at least one server');
  options.endpoints.forEach((endpoint, i) => {
    checkEndpoint(endpoint, `endpoints[${i}]`);
  });
  const secure = options.endpoints.filter((endpoint) => endpoint.startsWith('https:')).length;
  if (secure !== 0 && secure !== options.endpoints.length) {
    throw invalid('endpoints', 'must be all http or all https');
  }
  if (options.tls !== undefined && secure === 0) {
    throw invalid('tls', 'is set, but the endpoints are http; write them as https://…');
  }
  if (
    options.tls !== undefined &&
    (options.tls.cert === undefined) !== (options.tls.key === undefined)
  ) {
    throw invalid('tls', 'must have both cert and key, or neither');
  }
  checkDuration(options.callTimeoutMs, 'callTimeoutMs', 1);
  checkDuration(options.probeIntervalMs, 'probeIntervalMs', 5000);
  return options;
}

function checkEndpoint(endpoint: string, field: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.port === '') {
    throw invalid(field, `must look like http://host:2379, got ${endpoint}`);
  }
}

function checkDuration(value: number, field: string, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw invalid(field, `must be a whole number of ${min} or more milliseconds, got ${value}`);
  }
}
