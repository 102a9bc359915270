import { readFileSync } from 'node:fs';
import { prefixed, type Kv } from '@eventmesh/kv-api';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import type { EtcdKvOptions } from '@eventmesh/kv-etcd';
import type { KvConfig } from './config.ts';

/** Opens the control state that the configuration names: the only place that knows the plugins. */
export async function openKv({ kind, dir, etcd }: KvConfig): Promise<Kv> {
  if (kind === 'embedded') return openEmbeddedKv({ dir });
  // Only here, so that an embedded site does not pay for a client that it never uses.
  const { openEtcdKv } = await import('@eventmesh/kv-etcd');
  const { username, password, tls } = etcd;
  const kv = openEtcdKv({
    endpoints: etcd.hosts,
    ...(username === undefined || password === undefined
      ? {}
      : { auth: { username, password: password.reveal() } }),
    ...(tls?.caFile === undefined ? {} : { tls: readTls(tls.caFile, tls.certFile, tls.keyFile) }),
  });
  // A prefixed Kv leaves the one underneath open; here it is ours to close.
  return { ...prefixed(kv, etcd.prefix), close: () => kv.close() };
}

function readTls(
  caFile: string,
  certFile: string | undefined,
  keyFile: string | undefined,
): NonNullable<EtcdKvOptions['tls']> {
  return {
    ca: readFileSync(caFile),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
  };
}
