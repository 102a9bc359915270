import { integer, section, size } from '@eventmesh/config';

/** Bounds of replay lanes; part of the data plane's configuration. */
export const replayConfig = section('Replay lanes and previews.', {
  lanesMax: integer('Lanes and previews at a time at this emesher.', {
    min: 0,
    max: 10_000,
    default: 64,
  }),
  lanesMaxPerTenant: integer('The same for one tenant.', { min: 0, max: 10_000, default: 8 }),
  heldMax: integer('Matched events of a lane in memory; the rest waits in the store.', {
    min: 16,
    max: 100_000,
    default: 1024,
  }),
  readAheadBytes: size('Bytes that a lane may read ahead of its consumer, and hold of it.', {
    default: '1MiB',
    min: '64KiB',
    max: '64MiB',
  }),
});
