import { invalid } from '@eventmesh/errors';
import type { EventStore } from '@eventmesh/store-api';
import { Connection } from './connection.ts';
import { Marks } from './marks.ts';
import { DEFAULT_JETSTREAM_OPTIONS, type JetStreamStoreOptions } from './options.ts';
import { StateBucket } from './state.ts';
import { JetStreamStore } from './store.ts';

/**
 * Opens a store on a NATS cluster. It reconnects for ever; while there is no connection, calls fail
 * as Unavailable. While a stream has no leader, as after the death of a server, they wait for one:
 * as long as `ackTimeoutMs`, and at open as long as `connectTimeoutMs`.
 *
 * @throws MeshError Unavailable when the cluster does not answer in time, DataLoss when it has less
 *   than was acknowledged: nothing is repaired by itself.
 */
export async function openJetStreamStore(options: JetStreamStoreOptions): Promise<EventStore> {
  const settings = { ...DEFAULT_JETSTREAM_OPTIONS, ...options };
  if (![1, 3, 5].includes(settings.replicas)) {
    throw invalid('replicas', `${settings.replicas} is not 1, 3 or 5`);
  }
  if (!/^[A-Za-z0-9_]{1,32}$/.test(settings.prefix)) {
    throw invalid('prefix', `"${settings.prefix}" is not 1 to 32 letters, digits and _`);
  }
  const connection = await Connection.open(options);
  try {
    const { prefix, replicas } = settings;
    const state = await StateBucket.open(connection, prefix, replicas);
    const marks = await Marks.open(connection, prefix, replicas, state);
    const store = new JetStreamStore(connection, { state, marks }, settings);
    await store.check();
    await store.profile();
    connection.started();
    return store;
  } catch (error) {
    await connection.close();
    throw error;
  }
}
