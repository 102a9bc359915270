import { integer, section } from '@eventmesh/config';

/** Bounds of requests that wait for their reply; part of the data plane's configuration. */
export const requestConfig = section('Requests that wait for their reply.', {
  pendingMax: integer('Requests waiting at a time at this emesher.', {
    min: 0,
    max: 1_000_000,
    default: 10_000,
  }),
  pendingMaxPerTenant: integer('The same for one tenant.', {
    min: 0,
    max: 1_000_000,
    default: 1000,
  }),
});
