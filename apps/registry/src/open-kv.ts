import { MeshError } from '@eventmesh/errors';
import type { Kv } from '@eventmesh/kv-api';
import { openEmbeddedKv } from '@eventmesh/kv-embedded';
import type { RegistryConfig } from './config.ts';

/** Opens the control state that the configuration names: the only place that knows the plugins. */
export function openKv({ kind, dir }: RegistryConfig['kv']): Promise<Kv> {
  if (kind === 'embedded') return openEmbeddedKv({ dir });
  throw new MeshError('Unimplemented', 'kv.kind: etcd is not there yet', { field: 'kv.kind' });
}
